// SPDX-License-Identifier: Apache-2.0
// Setup: lines to copy per client, and a list of what arrived that ticks by itself.
import type { VNode } from 'preact';
import { useState } from 'preact/hooks';
import { getJson, useInterval, useQuery, Y, type Received, type SetupInfo } from '../lib/api';
import { fmtAge, fmtInt } from '../lib/format';
import { t } from '../lib/i18n';
import { go, here, href } from '../lib/router';
import { fmtClock, fmtDay, sameDay } from '../lib/time';
import { linkTo } from '../lib/url';
import { useView } from '../lib/view';
import { Frame } from '../ui/frame';
import { Icon, St, type StatusKind } from '../ui/icon';
import { CopyButton, Tabs } from '../ui/parts';
import { Select } from '../ui/popover';
import { Await, SkeletonRows } from '../ui/states';
import { CLIENTS, type Client } from './setup-clients';

function clientState(c: Client, r: Received[]): StatusKind {
  const got = c.kinds.filter((k) => (r.find((x) => x.kind === k)?.count ?? 0) > 0).length;
  return got === 0 ? 'nodata' : got === c.kinds.length ? 'ok' : 'half';
}

/** Environment-style code with names and values in quiet colours. */
function Code({ text, id, tab }: { text: string; id: string; tab?: string }): VNode {
  return (
    <pre
      class="code setupcode"
      tabIndex={0}
      id={`${id}-panel`}
      role={tab ? 'tabpanel' : undefined}
      aria-labelledby={tab ? `${id}-${tab}` : undefined}
    >
      {text.split('\n').map((line, i) => {
        const c = /^(\s*#.*)$/.exec(line);
        const parts = line.split(/([A-Z][A-Z0-9_]{2,}(?==))|("[^"]*"|'[^']*')|(#\s.*$)/g);
        return (
          <span key={i}>
            {i ? '\n' : ''}
            {c ? (
              <span class="c">{line}</span>
            ) : (
              parts.map((p, k) =>
                p === undefined || p === '' ? null : (
                  <span
                    key={k}
                    class={
                      /^[A-Z][A-Z0-9_]{2,}$/.test(p) && line.includes(`${p}=`)
                        ? 'kw'
                        : /^["']/.test(p)
                          ? 's'
                          : /^#\s/.test(p)
                            ? 'c'
                            : ''
                    }
                  >
                    {p}
                  </span>
                ),
              )
            )}
          </span>
        );
      })}
    </pre>
  );
}

function Block({
  title,
  tabs,
  id,
}: {
  title?: string;
  id: string;
  tabs: { id: string; label: string; text: string }[];
}): VNode {
  const [tab, setTab] = useState(tabs[0]?.id ?? '');
  const cur = tabs.find((x) => x.id === tab) ?? tabs[0];
  return (
    <div>
      <div class="codeh">
        {tabs.length > 1 ? (
          <Tabs
            ctl={id}
            label={title ?? t('setup.format')}
            value={cur?.id ?? ''}
            onPick={setTab}
            tabs={tabs.map((x) => ({ id: x.id, label: x.label }))}
            cls="bare"
          />
        ) : (
          <span class="fs12 strong t2">{cur?.label}</span>
        )}
        <span class="end" />
        <CopyButton word text={cur?.text ?? ''} said={t('copied')} />
      </div>
      <Code text={cur?.text ?? ''} id={id} tab={tabs.length > 1 ? cur?.id : undefined} />
    </div>
  );
}

function Waiting({ d, kinds }: { d: SetupInfo; kinds: string[] }): VNode {
  const order = [...d.received].sort((a, b) => (kinds.includes(a.kind) ? 0 : 1) - (kinds.includes(b.kind) ? 0 : 1));
  return (
    <div class="card" aria-live="polite">
      {order.map((r) => {
        const need = kinds.includes(r.kind);
        const age = r.last_ms === null ? 0 : d.now_ms - r.last_ms;
        const k: StatusKind = r.count ? 'ok' : r.last_error ? 'error' : 'nodata';
        const detail = r.count
          ? [r.services.slice(0, 2).join(', ') || r.client, t('ago', { a: fmtAge(age) })].filter(Boolean).join(', ')
          : r.last_error
            ? t('setup.last_error', {
                at: fmtClock(r.last_error.at_ms, 's'),
                e: `${r.last_error.status} ${r.last_error.text}`,
              })
            : need
              ? t('setup.waiting')
              : t('setup.optional');
        return (
          <div class={`wr ${need ? '' : 'opt'}`} key={r.kind}>
            <St k={k} bare word={t(`recv.${k}`)} />
            <b>{t(`kind.${r.kind}`)}</b>
            <span class="num t2">{r.count ? `×${fmtInt(r.count)}` : ''}</span>
            <span class="d">{detail}</span>
          </div>
        );
      })}
    </div>
  );
}

function KeyStep({ d }: { d: SetupInfo }): VNode {
  const api = d.keys.find((k) => k.kind === 'api');
  const app = d.keys.find((k) => k.kind === 'application');
  const made = (ms: number): string => t('setup.made', { at: sameDay(ms, d.now_ms) ? fmtClock(ms) : fmtDay(ms) });
  return (
    <section class="stp done">
      <span class="no">
        <Icon n="check" cls="s14" />
      </span>
      <div>
        <h2>{t('setup.key')}</h2>
        <div class="bodyx">
          {[api, app].map((k) =>
            k ? (
              <div class="hstack wrap" key={k.kind}>
                <span class="chip keychip">
                  <span class="k">{k.kind === 'api' ? 'DD_API_KEY' : 'DD_APP_KEY'}&nbsp;</span>
                  {k.value ?? k.masked}
                </span>
                {k.value ? <CopyButton text={k.value} label={t('setup.copy_key', { k: k.kind })} /> : null}
                <span class="t3 fs12">
                  {made(k.created_ms)}
                  {k.value ? ` · ${t('setup.shown_once')}` : ''}
                </span>
              </div>
            ) : null,
          )}
          {api && !api.value ? (
            <p class="t3 fs12">
              {t('setup.masked')} <code>yagura key create</code>
            </p>
          ) : null}
        </div>
      </div>
    </section>
  );
}

export default function Setup({ id }: { id: string }): VNode {
  const v = useView();
  const q = useQuery('setup', (s) => getJson<SetupInfo>(`${Y}/setup`, s));
  useInterval(2_000, q.retry);
  const c = CLIENTS.find((x) => x.id === (id || 'nodejs')) ?? (CLIENTS[0] as Client);
  const d = q.data;
  const key = d?.keys.find((k) => k.kind === 'api')?.value ?? '<API_KEY>';
  const got = d ? d.received.filter((r) => r.count > 0).length : 0;
  const all = d ? c.kinds.every((k) => (d.received.find((r) => r.kind === k)?.count ?? 0) > 0) : false;
  const groups = [...new Set(CLIENTS.map((x) => x.group))];
  return (
    <Frame
      v={v}
      page="setup"
      title={t('nav.setup')}
      noTime
      scope={
        <>
          <span class="t2">{t(`setup.c_${c.id}`)}</span>
          <span class="t3">·</span>
          <span class="fs12 t3">{d ? t('setup.arrive', { n: got, of: d.received.length }) : ''}</span>
        </>
      }
    >
      <div class="setup">
        <nav class="clients" aria-label={t('setup.clients')}>
          {groups.map((g) => (
            <section key={g}>
              <h2>{t(`setup.g_${g}`)}</h2>
              {CLIENTS.filter((x) => x.group === g).map((x) => (
                <a key={x.id} href={href(`/setup/${x.id}`)} aria-current={x === c ? 'page' : undefined}>
                  <span>{t(`setup.c_${x.id}`)}</span>
                  {d ? <St k={clientState(x, d.received)} bare /> : null}
                </a>
              ))}
            </section>
          ))}
        </nav>
        <div class="stepsx">
          <div class="only-narrow clientpick">
            <Select
              cls="boxed"
              label={t('setup.clients')}
              value={c.id}
              choices={CLIENTS.map((x) => ({ value: x.id, label: t(`setup.c_${x.id}`), text: t(`setup.c_${x.id}`) }))}
              onPick={(x) => go(linkTo(here().params, `/setup/${x}`))}
            />
          </div>
          <Await q={q} skeleton={<SkeletonRows rows={10} cols={[24, 0]} />}>
            {(x) => (
              <div class="steps">
                <KeyStep d={x} />
                {c.steps(x, key).map((s, i) => (
                  <section class="stp" key={c.id + i}>
                    <span class="no">{i + 2}</span>
                    <div>
                      <h2>{t(s.title)}</h2>
                      <div class="bodyx">
                        {s.text ? <p class="t2">{t(s.text)}</p> : null}
                        <Block id={`code${i}`} tabs={s.tabs} title={t(s.title)} />
                        {s.note ? <p class="fs12 t3">{t(s.note)}</p> : null}
                      </div>
                    </div>
                  </section>
                ))}
                <section class={`stp ${all ? 'done' : ''}`}>
                  <span class="no">{all ? <Icon n="check" cls="s14" /> : c.steps(x, key).length + 2}</span>
                  <div>
                    <h2>{all ? t('setup.done') : t('setup.look')}</h2>
                    <div class="bodyx">
                      <p class="t2">{all ? t('setup.done_sub') : t('setup.look_sub')}</p>
                      <div class="hstack wrap">
                        {c.kinds.includes('traces') ? (
                          <a
                            class={`btn ${all ? 'primary' : ''}`}
                            href={href('/traces', { from: 'now-15m', sort: '-start' })}
                          >
                            {t('nav.traces')}
                          </a>
                        ) : null}
                        {c.kinds.includes('logs') ? (
                          <a
                            class={`btn ${all && !c.kinds.includes('traces') ? 'primary' : ''}`}
                            href={href('/logs', { from: 'now-15m' })}
                          >
                            {t('nav.logs')}
                          </a>
                        ) : null}
                        {c.kinds.some((k) => k === 'dogstatsd' || k === 'metrics') ? (
                          <a class="btn" href={href('/metrics', { from: 'now-15m' })}>
                            {t('nav.metrics')}
                          </a>
                        ) : null}
                      </div>
                    </div>
                  </div>
                </section>
              </div>
            )}
          </Await>
        </div>
        <aside class="wait" aria-label={t('setup.first_data')}>
          <div class="hstack waith">
            <h2>{all ? t('setup.arrives') : t('setup.first_data')}</h2>
            <span class="end" />
            <span class={`st fs12 ${q.error ? 'c-warn' : 'c-ok'}`}>
              <Icon n="live" />
              {q.error ? t('setup.not_listening') : t('setup.listening')}
            </span>
          </div>
          {d ? (
            <Waiting d={d} kinds={c.kinds} />
          ) : (
            <div class="card">
              <SkeletonRows rows={8} cols={[16, 0, 40]} />
            </div>
          )}
          <p class="fs12 t3 waitnote">{t('setup.leave_open')}</p>
        </aside>
      </div>
    </Frame>
  );
}
