// SPDX-License-Identifier: Apache-2.0
// Side panel of one span: figures, baseline, error, statement, tags, its logs, links, events, raw.
import type { VNode } from 'preact';
import { useState } from 'preact/hooks';
import { getJson, useQuery, Y, type SpanDetail } from '../../lib/api';
import { durParts, fmtDur, fmtInt } from '../../lib/format';
import { t } from '../../lib/i18n';
import { go, here, href } from '../../lib/router';
import { quoteValue } from '../../lib/search';
import { slotVar } from '../../lib/slots';
import { FLAG, hexId } from '../../lib/traceblock';
import { linkTo } from '../../lib/url';
import { Icon, St } from '../../ui/icon';
import { CopyButton, JsonCode, KvList, Side, Tabs, type KvRow } from '../../ui/parts';
import { Await, SkeletonRows } from '../../ui/states';
import { LogRows, offset, type TraceLog } from './dock';
import type { Loaded } from './index';

const STATEMENTS = [
  'db.statement',
  'sql.query',
  'dbm_trace_injected_statement',
  'aws.dynamodb.statement',
  'graphql.source',
  'mongodb.query',
  'redis.raw_command',
];
const ERROR_KEYS = ['error.message', 'error.msg', 'error.type', 'error.stack'];
/** Reserved names and tags are written bare in a search, everything else with @. */
const BARE = new Set(['env', 'service', 'version', 'host', 'resource_name', 'operation_name']);

export function filterKey(k: string): string {
  return BARE.has(k) ? k : `@${k}`;
}

function rowsOf(d: SpanDetail): { main: KvRow[]; inner: KvRow[] } {
  const main: KvRow[] = [],
    inner: KvRow[] = [];
  const add = (k: string, v: string): void => {
    if (ERROR_KEYS.includes(k) || STATEMENTS.includes(k)) return;
    (k.startsWith('_') ? inner : main).push({ k, v, raw: v, filter: filterKey(k) });
  };
  for (const [k, v] of Object.entries(d.tags)) add(k, v);
  for (const [k, v] of Object.entries(d.metrics)) add(k, String(v));
  const byName = (a: KvRow, b: KvRow): number => (a.k < b.k ? -1 : 1);
  return { main: main.sort(byName), inner: inner.sort(byName) };
}

function toTraces(key: string, value: string, exclude: boolean): void {
  go(linkTo(here().params, '/traces', { q: `${exclude ? '-' : ''}${key}:${quoteValue(value)}` }));
}

function Figures({ l, row }: { l: Loaded; row: number }): VNode {
  const b = l.block,
    d = durParts(b.dur[row] as number);
  const whole = Math.max(1, l.a.rootEnd - (b.startOff[0] ?? 0));
  return (
    <div class="kpis small">
      <div class="kpi">
        <div class="l">{t('tr.duration')}</div>
        <div class="v">
          {d.v}
          <small>{d.u}</small>
        </div>
      </div>
      <div class="kpi">
        <div class="l">{t('tr.start')}</div>
        <div class="v">
          {offset(b.startOff[row] as number).replace(/ s$/, '')}
          <small>s</small>
        </div>
      </div>
      <div class="kpi">
        <div class="l">{t('span.share')}</div>
        <div class="v">
          {Math.round(((b.dur[row] as number) / whole) * 100)}
          <small>%</small>
        </div>
      </div>
    </div>
  );
}

function Baseline({ d }: { d: SpanDetail }): VNode | null {
  const b = d.baseline;
  if (!b || b.count < 20) return null;
  const slow = b.slower_than >= 0.95;
  const max = Math.max(b.p99_ns * 1.15, d.span.duration_ns * 1.05);
  const at = (ns: number): string => `${Math.min(100, (ns / max) * 100)}%`;
  return (
    <div class={`callout ${slow ? 'warn' : ''}`}>
      <Icon n={slow ? 'st-warn' : 'metrics'} cls="s14" />
      <div class="fs12 grow">
        <b>{t('span.slower', { p: (b.slower_than * 100).toFixed(1), n: fmtInt(b.count) })}</b>
        <div class="basebar" aria-hidden="true">
          <i class="p" style={{ left: at(b.p50_ns) }} />
          <i class="p" style={{ left: at(b.p95_ns) }} />
          <i class="p" style={{ left: at(b.p99_ns) }} />
          <i class={`me ${slow ? 'warn' : ''}`} style={{ left: at(d.span.duration_ns) }} />
        </div>
        <div class="why hstack">
          <span>p50 {fmtDur(b.p50_ns)}</span>
          <span>p95 {fmtDur(b.p95_ns)}</span>
          <span>p99 {fmtDur(b.p99_ns)}</span>
        </div>
      </div>
    </div>
  );
}

function ErrorBox({ d }: { d: SpanDetail }): VNode | null {
  if (!d.span.error && !d.tags['error.message']) return null;
  const stack = d.tags['error.stack'];
  return (
    <div class="callout error">
      <Icon n="st-error" cls="s14" />
      <div class="fs12 grow">
        <b>{d.tags['error.type'] ?? t('st.error')}</b>
        <div class="why wrapany">{d.tags['error.message'] ?? d.tags['error.msg'] ?? t('span.no_message')}</div>
        {stack ? (
          <details class="stack">
            <summary>{t('span.stack')}</summary>
            <pre class="code">{stack}</pre>
          </details>
        ) : null}
      </div>
    </div>
  );
}

function TagTab({ d }: { d: SpanDetail }): VNode {
  const { main, inner } = rowsOf(d);
  const st = STATEMENTS.map((k) => d.tags[k]).find(Boolean);
  const head: KvRow[] = [
    ['service', d.span.service],
    ['operation_name', d.span.name],
    ['resource_name', d.span.resource],
    ['env', d.span.env ?? ''],
    ['version', d.span.version ?? ''],
    ['host', d.span.host ?? ''],
  ]
    .filter((x) => x[1] && !((x[0] as string) in d.tags))
    .map(([k, val]) => ({ k: k as string, v: val, raw: val as string, filter: k }));
  return (
    <>
      <ErrorBox d={d} />
      <Baseline d={d} />
      {st ? (
        <>
          <h3 class="sect">
            {t('span.statement')}
            <span class="end" />
            <CopyButton text={st} label={t('span.copy_statement')} />
          </h3>
          <pre class="code">{st}</pre>
        </>
      ) : null}
      <h3 class="sect">{t('span.span')}</h3>
      <KvList rows={head} onFilter={toTraces} />
      {main.length ? (
        <>
          <h3 class="sect">{t('span.tags')}</h3>
          <KvList rows={main} onFilter={toTraces} />
        </>
      ) : null}
      {inner.length ? (
        <details class="more-tags">
          <summary class="sect">{t('span.internal', { n: inner.length })}</summary>
          <KvList rows={inner} onFilter={toTraces} />
        </details>
      ) : null}
    </>
  );
}

export function SpanPanel({
  l,
  row,
  logs,
  onSpan,
  onClose,
}: {
  l: Loaded;
  row: number;
  logs: TraceLog[];
  onSpan: (row: number) => void;
  onClose: () => void;
}): VNode {
  const b = l.block;
  const sid = hexId(b.spanId[row] as bigint);
  const q = useQuery(`span|${b.traceId}|${sid}`, (s) =>
    getJson<SpanDetail>(`${Y}/traces/${b.traceId}/spans/${sid}`, s),
  );
  const d = q.data?.span.span_id === sid ? q.data : undefined;
  const [tab, setTab] = useState('tags');
  const svc = b.str(b.service[row] as number),
    parent = b.parent[row] as number;
  const f = b.flag[row] as number;
  return (
    <Side
      label={t('span.span')}
      onClose={onClose}
      head={
        <>
          <i class="sw" style={{ background: slotVar(l.slots.get(svc)), marginTop: '6px' }} />
          <div class="grow">
            <h2 class="cut" title={b.str(b.resource[row] as number)}>
              {b.str(b.resource[row] as number) || b.str(b.name[row] as number)}
            </h2>
            <div class="t2 fs12 wrapany">
              {svc} · {b.str(b.name[row] as number)}
              {parent >= 0 ? (
                <>
                  {' '}
                  · {t('span.from')}{' '}
                  <button type="button" class="linkish" onClick={() => onSpan(parent)}>
                    {b.str(b.service[parent] as number)}
                  </button>
                </>
              ) : null}
            </div>
            <div class="hstack tight badges">
              {f & FLAG.error ? <St k="error" word={t('st.error')} cls="fs12" /> : null}
              {f & FLAG.cold ? (
                <span class="badge">
                  <Icon n="cold" />
                  {t('trace.cold')}
                </span>
              ) : null}
              {f & FLAG.inferred ? <span class="badge">{t('span.inferred')}</span> : null}
              {f & FLAG.async ? <span class="badge">{t('trace.async')}</span> : null}
            </div>
          </div>
        </>
      }
    >
      <Tabs
        ctl="span"
        label={t('span.span')}
        value={tab}
        onPick={setTab}
        tabs={[
          {
            id: 'tags',
            label: t('span.tags'),
            n: d ? Object.keys(d.tags).length + Object.keys(d.metrics).length : null,
          },
          { id: 'logs', label: t('nav.logs'), n: logs.length },
          { id: 'links', label: t('span.links'), n: d ? (d.links?.length ?? 0) : null },
          { id: 'events', label: t('span.events'), n: d ? (d.events?.length ?? 0) : null },
          { id: 'raw', label: t('span.raw') },
        ]}
      />
      <div class="side-b" id="span-panel" role="tabpanel" aria-labelledby={`span-${tab}`} tabIndex={0}>
        <Figures l={l} row={row} />
        {tab === 'logs' ? (
          logs.length ? (
            <div class="panel-logs">
              <LogRows l={l} logs={logs} selected={-1} onSpan={onSpan} />
            </div>
          ) : (
            <p class="t3 fs12">{t('span.no_logs')}</p>
          )
        ) : (
          <Await q={{ ...q, data: d }} skeleton={<SkeletonRows rows={12} cols={[110, 0]} />}>
            {(x) =>
              tab === 'tags' ? (
                <TagTab d={x} />
              ) : tab === 'raw' ? (
                <>
                  <div class="hstack">
                    <span class="end" />
                    <CopyButton word text={JSON.stringify(x, null, 2)} />
                  </div>
                  <JsonCode value={x} />
                </>
              ) : tab === 'links' ? (
                <Links d={x} />
              ) : (
                <Events d={x} base={b.baseNs} />
              )
            }
          </Await>
        )}
      </div>
    </Side>
  );
}

function Links({ d }: { d: SpanDetail }): VNode {
  if (!d.links?.length) return <p class="t3 fs12">{t('span.no_links')}</p>;
  return (
    <>
      {d.links.map((x) => (
        <section key={x.trace_id + x.span_id}>
          <h3 class="sect">
            <Icon n="link" cls="s12" />
            <a href={href(`/trace/${x.trace_id}`, { span: x.span_id })} class="mono">
              {x.trace_id.slice(0, 8)}…{x.trace_id.slice(-8)}
            </a>
          </h3>
          <KvList rows={Object.entries(x.attributes ?? {}).map(([k, v]) => ({ k, v: String(v), raw: String(v) }))} />
        </section>
      ))}
    </>
  );
}

function Events({ d, base }: { d: SpanDetail; base: bigint }): VNode {
  if (!d.events?.length) return <p class="t3 fs12">{t('span.no_events')}</p>;
  return (
    <>
      {d.events.map((x, i) => (
        <section key={i}>
          <h3 class="sect">
            {x.name}
            <span class="end t3">{offset(Number(BigInt(x.time_ns) - base))}</span>
          </h3>
          <KvList rows={Object.entries(x.attributes ?? {}).map(([k, v]) => ({ k, v: String(v), raw: String(v) }))} />
        </section>
      ))}
    </>
  );
}
