// SPDX-License-Identifier: Apache-2.0
// One monitor: state in one line, evaluated value against its thresholds, groups, history with deliveries.
import type { VNode } from 'preact';
import { useMemo, useState } from 'preact/hooks';
import {
  ApiError,
  getJson,
  postJson,
  qs,
  useInterval,
  useQuery,
  Y,
  type Monitor as Mon,
  type MonitorState,
  type Timeseries,
} from '../lib/api';
import { serverNow } from '../lib/boot';
import { fmtAge, fmtInt, fmtValue } from '../lib/format';
import { t } from '../lib/i18n';
import { asSeries, parseMetric } from '../lib/metric';
import { href, setParams } from '../lib/router';
import { quoteValue } from '../lib/search';
import { fmtClock, fmtDay, fmtFull, sameDay } from '../lib/time';
import { useView, zoomTo, type View } from '../lib/view';
import { Frame } from '../ui/frame';
import { Icon, St, stateKind, stateWord, type StatusKind } from '../ui/icon';
import { LineChart, lineStyle, type LineSeries, type Span, type Threshold } from '../ui/linechart';
import { CopyButton, JsonCode, Mid } from '../ui/parts';
import { Await, Empty, SkeletonRows } from '../ui/states';

function at(ms: number): string {
  return sameDay(ms, serverNow()) ? fmtClock(ms) : fmtDay(ms);
}

/** `avg(last_5m):<query> > 0.05` → the query inside. */
function innerQuery(q: string): string | null {
  const m = /^[a-z]+\(last_\w+\)\s*:\s*([\s\S]+?)\s*(>=|<=|>|<|==|!=)\s*-?[\d.eE+-]+\s*$/.exec(q);
  return m ? (m[1] as string) : null;
}

function logQuery(q: string): string | null {
  const m = /^logs\("((?:[^"\\]|\\.)*)"\)/.exec(q);
  return m ? (m[1] as string).replace(/\\(.)/g, '$1') : null;
}

/** Where to look when this fires: logs of a log monitor, else the slowest or failing traces of the group. */
function lookAt(m: Mon, group: string): { label: string; href: string } {
  const lq = logQuery(m.query);
  const service = /service:([\w.-]+)/.exec(group)?.[1] ?? /service:([\w.-]+)/.exec(m.query)?.[1];
  if (lq !== null)
    return {
      label: t('mon.open_logs'),
      href: href('/logs', {
        q: [
          lq,
          group !== '*'
            ? group
                .split(',')
                .map((g) => g.trim())
                .join(' ')
            : '',
        ]
          .filter(Boolean)
          .join(' '),
      }),
    };
  const fails = /error|fault|5xx|fail/i.test(m.query);
  return {
    label: fails ? t('home.open_errors') : t('home.open_slowest'),
    href: href('/traces', {
      q: [service ? `service:${quoteValue(service)}` : '', fails ? 'status:error' : ''].filter(Boolean).join(' '),
    }),
  };
}

function StateBar({ m, s }: { m: Mon; s: MonitorState }): VNode {
  const worst = s.groups[0];
  const kind = stateKind(s.overall_state);
  const since = worst?.since_ms ?? null;
  const limit = s.overall_state === 'Warn' ? s.thresholds.warning : s.thresholds.critical;
  const sent = s.transitions.find((x) => x.to === s.overall_state)?.messages.filter((x) => x.state === 'sent') ?? [];
  const look = lookAt(m, worst?.group ?? '*');
  const next = s.next_at_ms ? Math.max(0, Math.round((s.next_at_ms - serverNow()) / 1000)) : null;
  const facts = [
    since ? `${t('since', { at: at(since) })} (${fmtAge(serverNow() - since)})` : '',
    worst && worst.group !== '*' && s.groups.length > 1 ? worst.group : '',
    sent.length
      ? `${t('mon.told')} ${sent.map((x) => `${x.target} ${x.at_ms ? at(x.at_ms) : ''}`).join(', ')}`
      : '',
  ].filter(Boolean);
  return (
    <div class={`state k-${kind}`}>
      <span class={`st c-${kind} big`}>
        <Icon n={`st-${kind}`} />
        {stateWord(s.overall_state)}
      </span>
      <span class="grow">
        {worst && worst.value !== null ? (
          <>
            <b>{fmtValue(worst.value)}</b>{' '}
            <span class="t2">
              {s.comparator} {fmtValue(limit)} {t('mon.over', { w: Math.round(s.window_s / 60) })}
              {facts.length ? ' · ' : ''}
            </span>
          </>
        ) : null}
        <span class="t2">{facts.join(' · ')}</span>
      </span>
      {next !== null ? <span class="t2 fs12 hide-narrow">{t('mon.next', { s: next })}</span> : null}
      <a class={`btn ${kind === 'error' || kind === 'warn' ? 'primary' : ''}`} href={look.href}>
        {look.label}
      </a>
    </div>
  );
}

function alertSpans(s: MonitorState, group: string): Span[] {
  const e = s.evaluations.series.find((x) => x.group === group) ?? s.evaluations.series[0];
  if (!e) return [];
  const out: Span[] = [],
    times = s.evaluations.times;
  let from = -1,
    mode = '';
  for (let i = 0; i <= times.length; i++) {
    const c = e.states[i] ?? '';
    const m = c === 'A' ? 'A' : c === 'W' ? 'W' : '';
    if (m === mode) continue;
    if (mode && from >= 0)
      out.push({
        from: times[from] as number,
        to: times[Math.min(i, times.length - 1)] as number,
        color: mode === 'A' ? 'var(--error-tint)' : 'var(--warn-tint)',
      });
    mode = m;
    from = i;
  }
  return out;
}

function Evaluated({
  s,
  m,
  v,
  only,
  setOnly,
}: {
  s: MonitorState;
  m: Mon;
  v: View;
  only: string;
  setOnly: (g: string) => void;
}): VNode {
  const mode = v.params.tab === 'source' ? 'source' : 'graph';
  const inner = innerQuery(m.query);
  const source = useQuery(
    mode === 'source' && inner && !parseMetric(inner).error ? `monsrc|${inner}|${v.key}` : null,
    (x) =>
      postJson<Timeseries>(
        '/api/v2/query/timeseries',
        {
          data: {
            type: 'timeseries_request',
            attributes: {
              from: v.range.from_ms,
              to: v.range.to_ms,
              queries: [{ data_source: 'metrics', name: 'a', query: inner }],
              formulas: [{ formula: 'a' }],
            },
          },
        },
        x,
      ),
  );
  const th: Threshold[] = [];
  const cmp = s.comparator;
  if (s.thresholds.critical !== null)
    th.push({
      value: s.thresholds.critical,
      color: 'var(--error)',
      label: `${t('mon.alert')} ${cmp} ${fmtValue(s.thresholds.critical)}`,
    });
  if (s.thresholds.warning !== null)
    th.push({
      value: s.thresholds.warning,
      color: 'var(--warn)',
      label: `${t('mon.warn')} ${cmp} ${fmtValue(s.thresholds.warning)}`,
    });
  if (s.thresholds.critical_recovery !== null)
    th.push({
      value: s.thresholds.critical_recovery,
      color: 'var(--ok)',
      label: `${t('mon.recovery')} ${fmtValue(s.thresholds.critical_recovery)}`,
      dash: [2, 3],
    });
  const series: LineSeries[] = useMemo(
    () =>
      s.evaluations.series
        .filter((x) => !only || x.group === only)
        .map((x, i) => ({
          label: x.group === '*' ? t('mon.value') : x.group,
          values: x.values,
          width: 1.75,
          ...lineStyle(only ? 0 : i),
          // many groups: those that are fine step back
          ...(s.evaluations.series.length > 6 && !only && !/[AW]/.test(x.states)
            ? { color: 'var(--bar)', dash: undefined, width: 1 }
            : {}),
        })),
    [s, only],
  );
  const src = source.data?.data.attributes;
  const srcSeries: LineSeries[] = useMemo(
    () =>
      (src?.series ?? []).map((x, i) => ({
        label: x.group_tags.join(', ') || (inner && asSeries(inner)?.metric) || t('mon.source'),
        values: src?.values[i] ?? [],
        ...lineStyle(i),
      })),
    [src],
  );
  const end = s.evaluated_at_ms ?? v.range.to_ms;
  const focus = only || s.groups[0]?.group || '*';
  return (
    <section class="card" aria-labelledby="h-ev">
      <div class="card-h">
        <h2 id="h-ev">{t('mon.evaluated')}</h2>
        <span class="sub">
          {t('mon.window', { w: Math.round(s.window_s / 60) })}
          {s.delay_s ? ` · ${t('mon.delay', { s: s.delay_s })}` : ''}
        </span>
        <span class="end" />
        {only ? (
          <button class="btn quiet sm" type="button" onClick={() => setOnly('')}>
            {t('mon.all_groups')}
          </button>
        ) : null}
        {inner ? (
          <span class="seg sm" role="group" aria-label={t('view')}>
            <button type="button" aria-pressed={mode === 'graph'} onClick={() => setParams({ tab: null })}>
              {t('mon.tab_eval')}
            </button>
            <button type="button" aria-pressed={mode === 'source'} onClick={() => setParams({ tab: 'source' })}>
              {t('mon.tab_source')}
            </button>
          </span>
        ) : null}
      </div>
      <div class="card-b">
        {mode === 'source' ? (
          <Await q={source} skeleton={<i class="skel chart-skel" />}>
            {() => (
              <LineChart
                times={src?.times ?? []}
                series={srcSeries}
                range={v.range}
                h={232}
                onZoom={zoomTo}
                label={t('mon.source')}
              />
            )}
          </Await>
        ) : s.evaluations.times.length ? (
          <LineChart
            times={s.evaluations.times}
            series={series}
            range={v.range}
            h={232}
            thresholds={th}
            spans={alertSpans(s, focus)}
            onZoom={zoomTo}
            bracket={
              end <= v.range.to_ms + 6e4 && s.window_s * 1000 > (v.range.to_ms - v.range.from_ms) / 100
                ? {
                    from: end - s.window_s * 1000,
                    to: Math.min(end, v.range.to_ms),
                    label: t('mon.win_label', { w: Math.round(s.window_s / 60) }),
                  }
                : undefined
            }
            label={t('mon.chart_label', {
              state: stateWord(s.overall_state),
              value: fmtValue(s.groups[0]?.value ?? null),
            })}
          />
        ) : (
          <Empty icon="monitors" title={t('mon.no_eval')}>
            {t('mon.no_eval_sub')}
          </Empty>
        )}
        {mode === 'graph' && series.length > 1 ? (
          <div class="legend under">
            {series
              .filter((x) => x.color !== 'var(--bar)')
              .slice(0, 8)
              .map((x) => (
                <span key={x.label}>
                  <i class="sw line" style={{ background: x.color }} />
                  {x.label}
                </span>
              ))}
            {series.some((x) => x.color === 'var(--bar)') ? (
              <span>
                <i class="sw line" style={{ background: 'var(--bar)' }} />
                {t('mon.fine', { n: series.filter((x) => x.color === 'var(--bar)').length })}
              </span>
            ) : null}
          </div>
        ) : null}
      </div>
    </section>
  );
}

function Strip({ states, values, limit }: { states: string; values: (number | null)[]; limit: number | null }): VNode {
  const n = Math.min(60, Math.max(1, values.length));
  const per = values.length / n;
  return (
    <span class="strip" aria-hidden="true">
      {Array.from({ length: n }, (_, i) => {
        const a = Math.floor(i * per),
          b = Math.max(a + 1, Math.floor((i + 1) * per));
        const st = states.slice(a, b),
          vals = values.slice(a, b).filter((x): x is number => x !== null);
        const max = vals.length ? Math.max(...vals) : null;
        const lv = st.includes('A')
          ? 6
          : st.includes('W')
            ? 4
            : max === null
              ? 0
              : 1 + Math.min(2, Math.floor((limit ? Math.max(0, max / limit) : 0) * 3));
        return <i key={i} class={lv ? `h${lv}` : 'none'} />;
      })}
    </span>
  );
}

function Groups({
  s,
  m,
  only,
  setOnly,
}: {
  s: MonitorState;
  m: Mon;
  only: string;
  setOnly: (g: string) => void;
}): VNode | null {
  const [find, setFind] = useState('');
  const [all, setAll] = useState(false);
  if (s.groups.length === 0 || (s.groups.length === 1 && s.groups[0]?.group === '*')) return null;
  const list = s.groups.filter((g) => g.group.toLowerCase().includes(find.toLowerCase()));
  const shown = all ? list : list.slice(0, 12);
  const n = (state: string): number => s.groups.filter((g) => g.state === state).length;
  return (
    <section class="card" aria-labelledby="h-gr">
      <div class="card-h">
        <h2 id="h-gr">{t('mon.groups')}</h2>
        <span class="sub">{fmtInt(s.groups.length)}</span>
        <span class="hstack gcount">
          {(['Alert', 'Warn', 'No Data', 'OK'] as const).map((x) => (
            <St key={x} k={stateKind(x)} word={n(x)} />
          ))}
        </span>
        <span class="end" />
        <span class="inputwrap hide-narrow groupfind">
          <Icon n="search" cls="s14" />
          <input
            class="input sm"
            aria-label={t('mon.find_group')}
            placeholder={t('mon.find_group')}
            value={find}
            onInput={(e) => setFind(e.currentTarget.value)}
          />
        </span>
      </div>
      <div>
        {shown.map((g) => {
          const e = s.evaluations.series.find((x) => x.group === g.group);
          const hot = g.state === 'Alert' || g.state === 'Warn';
          return (
            <div class={`gr inset ${only === g.group ? 'sel' : ''}`} key={g.group}>
              <St k={stateKind(g.state)} bare word={stateWord(g.state)} />
              <button
                type="button"
                class="rowbtn cut"
                aria-pressed={only === g.group}
                title={g.group}
                onClick={() => setOnly(only === g.group ? '' : g.group)}
              >
                <Mid s={g.group} tail={12} />
              </button>
              {e ? <Strip states={e.states} values={e.values} limit={s.thresholds.critical} /> : <span />}
              <span class={`num ${hot ? 'strong' : ''}`}>{fmtValue(g.value)}</span>
              <span class="num t3 fs12">{g.since_ms ? t('since', { at: at(g.since_ms) }) : ''}</span>
              <a
                class="iconbtn sm"
                href={lookAt(m, g.group).href}
                aria-label={`${lookAt(m, g.group).label}: ${g.group}`}
              >
                <Icon n="open" cls="s14" />
              </a>
            </div>
          );
        })}
        {list.length > shown.length ? (
          <button type="button" class="gr more" onClick={() => setAll(true)}>
            {t('mon.more_groups', { n: list.length - shown.length })}
          </button>
        ) : null}
      </div>
    </section>
  );
}

const MSG: Record<string, StatusKind> = { sent: 'ok', pending: 'half', failed: 'error', unknown: 'nodata' };

function History({ s }: { s: MonitorState }): VNode {
  return (
    <section class="card" aria-labelledby="h-hi">
      <div class="card-h">
        <h2 id="h-hi">{t('mon.history')}</h2>
        <span class="sub">{t('mon.n_changes', { n: s.transitions.length })}</span>
      </div>
      {s.transitions.length ? (
        <div class="tl">
          {s.transitions.slice(0, 60).flatMap((x, i) => [
            ...x.messages.map((y) => (
              <div class="ev" key={`${i}${y.id}`}>
                <span class="t3 num">{y.at_ms ? at(y.at_ms) : ''}</span>
                <span class="t2">
                  <Icon n="monitors" cls="s14" />
                </span>
                <span class="wrapany">
                  <span class="mono">{y.target}</span>{' '}
                  <St k={MSG[y.state] ?? 'nodata'} word={t(`msg.${y.state}`)} cls="fs12" />
                  {y.attempts > 1 ? <span class="t3 fs12"> {t('mon.tries', { n: y.attempts })}</span> : null}
                  {y.error ? <span class="t3 fs12"> · {y.error}</span> : null}
                </span>
              </div>
            )),
            <div class="ev" key={i}>
              <span class="t3 num" title={fmtFull(x.at_ms, 's')}>
                {at(x.at_ms)}
              </span>
              <span class={`c-${stateKind(x.to)}`}>
                <Icon n={`st-${stateKind(x.to)}`} cls="s14" />
              </span>
              <span class="wrapany">
                {x.group === '*' ? '' : `${x.group} `}
                <b>
                  {stateWord(x.from)} → {stateWord(x.to)}
                </b>
                {x.value !== null ? <span class="t2"> {fmtValue(x.value)}</span> : null}
              </span>
            </div>,
          ])}
        </div>
      ) : (
        <p class="t3 fs12 none">{t('mon.no_changes')}</p>
      )}
    </section>
  );
}

function Message({ m }: { m: Mon }): VNode {
  return (
    <section class="card" aria-labelledby="h-ms">
      <div class="card-h">
        <h2 id="h-ms">{t('mon.message')}</h2>
      </div>
      <div class="card-b vstack tightv">
        <pre class="code">{m.message || t('mon.no_message')}</pre>
        {m.tags?.length ? (
          <div class="hstack wrap tight">
            {m.tags.map((x) => (
              <span class="badge" key={x}>
                {x}
              </span>
            ))}
          </div>
        ) : null}
        <details>
          <summary class="fs12 t2">JSON</summary>
          <div class="hstack">
            <span class="end" />
            <CopyButton word text={JSON.stringify(m, null, 2)} />
          </div>
          <JsonCode value={m} />
        </details>
      </div>
    </section>
  );
}

export default function MonitorPage({ id }: { id: string }): VNode {
  const v0 = useView();
  // a monitor is read over hours: its own default range is four
  const v = v0;
  const m = useQuery(`monitor|${id}`, (s) => getJson<Mon>(`/api/v1/monitor/${id}?group_states=all`, s));
  const s = useQuery(`monstate|${id}|${v.key}`, (x) =>
    getJson<MonitorState>(`${Y}/monitors/${id}/state${qs({ from: v.range.from_ms, to: v.range.to_ms })}`, x),
  );
  useInterval(10_000, () => {
    m.retry();
    if (v.to === 'now') s.retry();
  });
  const [only, setOnly] = useState('');
  const mon = m.data;
  return (
    <Frame
      v={v}
      page="monitors"
      title={mon?.name ?? t('mon.one')}
      crumb={{ label: t('nav.monitors'), path: '/monitors' }}
      busy={s.loading && s.late && !s.data}
      badges={mon ? <span class="badge hide-tablet">{mon.type}</span> : undefined}
      scope={
        <code class="cut t2" title={mon?.query}>
          {mon?.query ?? ''}
        </code>
      }
    >
      <div class="page">
        {m.error && !mon ? (
          m.error instanceof ApiError && m.error.status === 404 ? (
            <Empty
              icon="monitors"
              title={t('mon.unknown')}
              acts={
                <a class="btn sm primary" href={href('/monitors')}>
                  {t('nav.monitors')}
                </a>
              }
            />
          ) : (
            <Await q={m}>{() => null}</Await>
          )
        ) : (
          <Await
            q={s}
            skeleton={
              <div class="card">
                <SkeletonRows rows={12} cols={[0, 80]} />
              </div>
            }
          >
            {(st) =>
              mon ? (
                <div class="vstack">
                  <StateBar m={mon} s={st} />
                  <code class="only-narrow code">{mon.query}</code>
                  <div class="mon">
                    <div class="vstack">
                      <Evaluated s={st} m={mon} v={v} only={only} setOnly={setOnly} />
                      <Groups s={st} m={mon} only={only} setOnly={setOnly} />
                    </div>
                    <div class="vstack">
                      <History s={st} />
                      <Message m={mon} />
                    </div>
                  </div>
                </div>
              ) : null
            }
          </Await>
        )}
      </div>
    </Frame>
  );
}
