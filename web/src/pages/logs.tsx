// SPDX-License-Identifier: Apache-2.0
// Logs: facets, histogram by status, list with highlights, one event in the panel.
import type { VNode } from 'preact';
import { useEffect, useMemo, useState } from 'preact/hooks';
import {
  getBytes,
  postJson,
  useQuery,
  viewOf,
  Y,
  type Aggregate,
  type LogEvent,
  type LogSearch,
  type Query,
} from '../lib/api';
import { fmtDur, fmtInt } from '../lib/format';
import { t } from '../lib/i18n';
import { useKeys } from '../lib/keys';
import { entryState, href, setEntryState, setParams } from '../lib/router';
import { highlightWords, parseSearch, scoped, toggleTerm } from '../lib/search';
import { assignSlots, slotVar } from '../lib/slots';
import { serverNow } from '../lib/boot';
import { fmtClock, fmtDay, fmtFull, sameDay, timeTitle, UNIT_MS } from '../lib/time';
import { decodeTrace, FLAG } from '../lib/traceblock';
import { useView, zoomTo, type View } from '../lib/view';
import { FacetColumn, facetValues, termCount, useFacets } from '../ui/facets';
import { Frame } from '../ui/frame';
import { Icon, logKind, St } from '../ui/icon';
import { CopyButton, JsonCode, KvList, Marked, Side, Tabs, type KvRow } from '../ui/parts';
import { Popover } from '../ui/popover';
import { QueryBar, searchSource } from '../ui/querybar';
import { Await, Empty, ErrorPanel, SkeletonRows } from '../ui/states';
import { Bars, type BarSeries } from '../ui/svg';
import { toast } from '../ui/toast';

const PAGE = 200;
const MAX_ROWS = 4000;
/** Bucket widths offered to the server, by name; the first that gives at most 90 bars is taken. */
const STEPS = [
  '1s',
  '2s',
  '5s',
  '10s',
  '15s',
  '30s',
  '1m',
  '2m',
  '5m',
  '10m',
  '15m',
  '30m',
  '1h',
  '2h',
  '4h',
  '8h',
  '12h',
  '1d',
  '2d',
  '1w',
];

function stepMs(s: string): number {
  return Number(s.slice(0, -1)) * (UNIT_MS[s.slice(-1)] as number);
}

interface Hist {
  from: number;
  step: number;
  series: BarSeries[];
  total: number;
  counts: { info: number; warn: number; error: number };
}

/** Buckets of the aggregate answer as three stacked series: error on the baseline, warn hatched, the rest neutral. */
function toHist(a: Aggregate, v: View, step: number): Hist {
  const from = Math.floor(v.range.from_ms / step) * step;
  const n = Math.max(1, Math.ceil((v.range.to_ms - from) / step));
  const zero = (): number[] => new Array<number>(n).fill(0);
  const sums = { error: zero(), warn: zero(), info: zero() };
  for (const b of a.data.buckets) {
    const kind = logKind(String(b.by.status ?? ''));
    const into = kind === 'error' ? sums.error : kind === 'warn' ? sums.warn : sums.info;
    const c = b.computes.c0;
    if (!Array.isArray(c)) continue;
    for (const p of c) {
      const i = Math.floor((Date.parse(p.time) - from) / step);
      if (i >= 0 && i < n) into[i] = (into[i] as number) + p.value;
    }
  }
  const count = (x: number[]): number => x.reduce((p, q) => p + q, 0);
  const counts = { info: count(sums.info), warn: count(sums.warn), error: count(sums.error) };
  return {
    from,
    step,
    counts,
    total: counts.info + counts.warn + counts.error,
    series: [
      { key: 'error', label: t('logs.error'), fill: 'var(--error)', values: sums.error },
      { key: 'warn', label: t('logs.warn'), fill: 'url(#hw)', values: sums.warn },
      { key: 'info', label: t('logs.info'), fill: 'var(--bar)', values: sums.info },
    ],
  };
}

function attrOf(e: LogEvent, key: string): unknown {
  const a = e.attributes;
  if (key === 'service' || key === 'host' || key === 'status') return a[key];
  if (!key.startsWith('@'))
    return (a.tags ?? [])
      .filter((x) => x.startsWith(`${key}:`))
      .map((x) => x.slice(key.length + 1))
      .join(', ');
  let x: unknown = a.attributes;
  const path = key.slice(1);
  if (x && typeof x === 'object' && path in x) return (x as Record<string, unknown>)[path];
  for (const part of path.split('.')) x = x && typeof x === 'object' ? (x as Record<string, unknown>)[part] : undefined;
  return x;
}

function traceIdOf(e: LogEvent): string {
  const a = e.attributes.attributes ?? {};
  const dd = a.dd as Record<string, unknown> | undefined;
  return String(a.trace_id ?? a['dd.trace_id'] ?? dd?.trace_id ?? '');
}

/** Nested attributes as dotted rows. */
function flatten(o: unknown, path = ''): KvRow[] {
  if (o === null || typeof o !== 'object') return [{ k: `@${path}`, v: String(o), raw: String(o), filter: `@${path}` }];
  if (Array.isArray(o)) {
    if (o.every((x) => x === null || typeof x !== 'object'))
      return o.length ? [{ k: `@${path}`, v: o.join(', '), raw: String(o[0] ?? ''), filter: `@${path}` }] : [];
    return [{ k: `@${path}`, v: JSON.stringify(o), raw: JSON.stringify(o) }];
  }
  return Object.entries(o).flatMap(([k, v]) => flatten(v, path ? `${path}.${k}` : k));
}

function MiniTrace({ id }: { id: string }): VNode | null {
  const q = useQuery(`mini|${id}`, async (s) =>
    decodeTrace(await getBytes(`${Y}/traces/${encodeURIComponent(id)}`, s)),
  );
  const b = q.data;
  if (!b || !b.n) return q.error ? <p class="t3 fs12">{t('logs.no_trace')}</p> : null;
  const slots = assignSlots(b.tail.services.map((x) => x.name));
  let total = 1;
  for (let i = 0; i < b.n; i++) total = Math.max(total, (b.startOff[i] as number) + (b.dur[i] as number));
  const rows = Array.from({ length: b.n }, (_, i) => i)
    .filter((i) => (b.depth[i] as number) <= 3)
    .sort((x, y) => (b.dur[y] as number) - (b.dur[x] as number))
    .slice(0, 7)
    .sort((x, y) => x - y);
  return (
    <>
      <h3 class="sect">
        {t('trace.one')}
        <span class="t3 plain">
          {fmtDur(b.dur[0] as number)} · {fmtInt(b.nTotal)} {t('trace.spans', { n: b.nTotal })}
        </span>
        <span class="end" />
        <a class="plain" href={href(`/trace/${b.traceId}`)}>
          {t('open')}
        </a>
      </h3>
      <div class="minitrace" role="img" aria-label={t('logs.mini', { n: b.nTotal })}>
        {rows.map((i) => (
          <div key={i}>
            <span class="cut t2">{b.str(b.resource[i] as number) || b.str(b.name[i] as number)}</span>
            <span class="mt">
              <i
                style={{
                  left: `${((b.startOff[i] as number) / total) * 100}%`,
                  width: `max(2px, ${((b.dur[i] as number) / total) * 100}%)`,
                  background: slotVar(slots.get(b.str(b.service[i] as number))),
                }}
              />
              {(b.flag[i] as number) & FLAG.error ? (
                <span
                  class="c-error"
                  style={{ left: `calc(${(((b.startOff[i] as number) + (b.dur[i] as number)) / total) * 100}% + 2px)` }}
                >
                  <Icon n="st-error" cls="s12" />
                </span>
              ) : null}
            </span>
          </div>
        ))}
      </div>
    </>
  );
}

function EventPanel({
  e,
  q,
  onQuery,
  onClose,
}: {
  e: LogEvent;
  q: string;
  onQuery: (q: string) => void;
  onClose: () => void;
}): VNode {
  const [tab, setTab] = useState('attrs');
  const a = e.attributes;
  const trace = traceIdOf(e);
  const attrs = flatten(a.attributes ?? {}).sort((x, y) => (x.k < y.k ? -1 : 1));
  const reserved: KvRow[] = (
    [
      ['service', a.service],
      ['host', a.host],
      ['status', a.status],
    ] as [string, string | undefined][]
  )
    .filter((x) => x[1])
    .map(([k, v]) => ({ k, v, raw: v as string, filter: k }));
  const tags: KvRow[] = [...new Set(a.tags ?? [])]
    .filter((x) => !x.startsWith('service:') && !x.startsWith('host:'))
    .map((x) => {
      const i = x.indexOf(':');
      return i < 0
        ? { k: x, v: '', raw: x, filter: 'tags' }
        : { k: x.slice(0, i), v: x.slice(i + 1), raw: x.slice(i + 1), filter: x.slice(0, i) };
    });
  const filter = (k: string, val: string, exclude: boolean): void => onQuery(toggleTerm(q, k, val, exclude));
  const kind = logKind(a.status);
  return (
    <Side
      label={t('logs.event')}
      wide
      onClose={onClose}
      head={
        <div class="grow">
          <div class="hstack">
            <St k={kind} word={a.status ?? 'info'} />
            <span class="t2 fs12">{fmtFull(Date.parse(a.timestamp))}</span>
          </div>
          <h2 class="mono msgtitle">{a.message}</h2>
        </div>
      }
    >
      <Tabs
        ctl="log"
        label={t('logs.event')}
        value={tab}
        onPick={setTab}
        tabs={[
          { id: 'attrs', label: t('logs.attributes'), n: attrs.length + reserved.length + tags.length },
          { id: 'json', label: 'JSON' },
        ]}
      />
      <div class="side-b" id="log-panel" role="tabpanel" aria-labelledby={`log-${tab}`} tabIndex={0}>
        {tab === 'attrs' ? (
          <>
            {trace && trace !== '0' ? <MiniTrace id={trace} /> : null}
            {reserved.length ? (
              <>
                <h3 class="sect">{t('logs.reserved')}</h3>
                <KvList rows={reserved} onFilter={filter} />
              </>
            ) : null}
            {attrs.length ? (
              <>
                <h3 class="sect">{t('logs.attributes')}</h3>
                <KvList rows={attrs} onFilter={filter} />
              </>
            ) : null}
            {tags.length ? (
              <>
                <h3 class="sect">{t('span.tags')}</h3>
                <KvList rows={tags} onFilter={filter} />
              </>
            ) : null}
          </>
        ) : (
          <>
            <div class="hstack">
              <span class="end" />
              <CopyButton word text={JSON.stringify(e, null, 2)} />
            </div>
            <JsonCode value={e} />
          </>
        )}
      </div>
    </Side>
  );
}

function Columns({ cols, keys }: { cols: string[]; keys: string[] }): VNode {
  const [open, setOpen] = useState(false);
  const [btn, setBtn] = useState<HTMLButtonElement | null>(null);
  const set = (next: string[]): void =>
    setParams({ cols: next.join(',') === 'service' ? null : next.join(',') || 'none' }, true);
  return (
    <>
      <button
        class="iconbtn sm"
        type="button"
        aria-label={t('logs.columns')}
        aria-expanded={open}
        ref={setBtn}
        onClick={() => setOpen(!open)}
      >
        <Icon n="columns" cls="s14" />
      </button>
      {open ? (
        <Popover anchor={btn} label={t('logs.columns')} onClose={() => setOpen(false)} cls="choices" align="right">
          <div class="choice-list">
            {[...new Set([...cols, 'service', 'host', ...keys])].slice(0, 30).map((k) => (
              <label class="check opt" key={k}>
                <input
                  type="checkbox"
                  checked={cols.includes(k)}
                  onChange={() => set(cols.includes(k) ? cols.filter((c) => c !== k) : [...cols, k])}
                />
                <span class="mono">{k}</span>
              </label>
            ))}
          </div>
        </Popover>
      ) : null}
    </>
  );
}

function LogList({
  rows,
  cols,
  words,
  sort,
  more,
  loading,
}: {
  rows: LogEvent[];
  cols: string[];
  words: string[];
  sort: string;
  more: (() => void) | null;
  loading: boolean;
}): VNode {
  const { params } = useView();
  const sel = params.sel ?? '';
  const [cur, setCur] = useState(() => entryState<number>('row') ?? -1);
  const [seen, setSeen] = useState(sel);
  useEffect(() => {
    if (sel === seen) return;
    setSeen(sel);
    const i = rows.findIndex((r) => r.id === sel);
    if (i >= 0) setCur(i);
  }, [sel]);
  const now = serverNow();
  const focus = (i: number): void => document.getElementById(`log-${i}`)?.scrollIntoView({ block: 'nearest' });
  const move = (d: number): void => {
    const i = Math.max(0, Math.min(rows.length - 1, cur + d));
    setCur(i);
    setEntryState('row', i);
    focus(i);
    if (sel && rows[i]) setParams({ sel: (rows[i] as LogEvent).id }, true);
    if (i >= rows.length - 10) more?.();
  };
  const open = (i: number): boolean => {
    const r = rows[i];
    if (!r) return false;
    setCur(i);
    setParams({ sel: r.id });
    return true;
  };
  useEffect(() => {
    if (cur > 0) document.getElementById(`log-${cur}`)?.scrollIntoView({ block: 'center' });
  }, []);
  useKeys([
    { keys: 'j', scope: 'list', label: 'keys.next_row', run: () => move(1) },
    { keys: 'k', scope: 'list', label: 'keys.prev_row', run: () => move(-1) },
    { keys: 'Home', scope: 'list', run: () => move(-rows.length) },
    { keys: 'End', scope: 'list', run: () => move(rows.length) },
    { keys: 'Enter', scope: 'list', label: 'keys.open_panel', run: () => open(cur) },
    {
      keys: 'Esc',
      scope: 'list',
      label: 'keys.close',
      run: () => {
        if (!sel) return false;
        setParams({ sel: null });
        return true;
      },
    },
  ]);
  const desc = sort !== 'timestamp';
  return (
    <div
      class="scroll list"
      tabIndex={0}
      role="region"
      aria-label={t('logs.list')}
      onScroll={(e) => {
        const el = e.currentTarget;
        if (el.scrollTop + el.clientHeight > el.scrollHeight - 600) more?.();
      }}
    >
      <table class={`tbl logs ${params.wrap ? 'wrap' : ''}`}>
        <thead>
          <tr>
            <th scope="col" style={{ width: '116px' }} aria-sort={desc ? 'descending' : 'ascending'}>
              <button type="button" onClick={() => setParams({ sort: desc ? 'timestamp' : null })}>
                {t('time')}
                <Icon n="sort" />
              </button>
            </th>
            <th scope="col" style={{ width: '28px' }}>
              <span class="sr">{t('logs.status')}</span>
            </th>
            {cols.map((c) => (
              <th scope="col" class="c-extra" key={c} style={{ width: '140px' }}>
                {c}
              </th>
            ))}
            <th scope="col">{t('logs.message')}</th>
          </tr>
        </thead>
        <tbody>
          {rows.map((r, i) => {
            const ms = Date.parse(r.attributes.timestamp),
              kind = logKind(r.attributes.status);
            return (
              <tr
                key={r.id}
                id={`log-${i}`}
                class={`lv-${kind} ${r.id === sel ? 'sel' : ''} ${i === cur ? 'is-cur' : ''}`}
                aria-selected={r.id === sel}
                onClick={() => open(i)}
              >
                <td class="t2" title={timeTitle(ms, now)}>
                  {sameDay(ms, now) ? '' : `${fmtDay(ms)} `}
                  {fmtClock(ms, 'ms')}
                </td>
                <td class="c-st">
                  <St k={kind} bare word={r.attributes.status} />
                </td>
                {cols.map((c) => (
                  <td class="c-extra t2" key={c}>
                    {String(attrOf(r, c) ?? '')}
                  </td>
                ))}
                <td class="msg">
                  <div class="cut">
                    <Marked text={r.attributes.message ?? ''} words={words} />
                  </div>
                </td>
              </tr>
            );
          })}
        </tbody>
      </table>
      {loading ? (
        <SkeletonRows rows={3} cols={[100, 16, 0]} />
      ) : more ? (
        <button class="btn quiet sm loadmore" type="button" onClick={more}>
          {t('load_more')}
        </button>
      ) : rows.length >= MAX_ROWS ? (
        <p class="t3 fs12 endnote">{t('logs.max', { n: fmtInt(MAX_ROWS) })}</p>
      ) : (
        <p class="t3 fs12 endnote">{t('logs.end')}</p>
      )}
    </div>
  );
}

function NoLogs({ v, q }: { v: View; q: string }): VNode {
  const narrowed = v.env || v.service;
  const body = {
    filter: { query: q, from: String(v.range.from_ms), to: String(v.range.to_ms) },
    compute: [{ aggregation: 'count' }],
  };
  const without = useQuery(narrowed ? `logs-without|${q}|${v.key}` : null, (s) =>
    postJson<Aggregate>('/api/v2/logs/analytics/aggregate', body, s),
  );
  const n = without.data?.data.buckets[0]?.computes.c0;
  const found = typeof n === 'number' ? n : 0;
  return (
    <Empty
      icon={q || narrowed ? 'filter' : 'logs'}
      title={found ? t('logs.none_but', { n: fmtInt(found) }) : q || narrowed ? t('logs.none') : t('logs.none_at_all')}
      acts={
        <>
          {narrowed ? (
            <button class="btn sm" type="button" onClick={() => setParams({ env: null, service: null })}>
              {t('drop_scope')}
            </button>
          ) : null}
          {q ? (
            <button class="btn sm" type="button" onClick={() => setParams({ q: null })}>
              {t('drop_query')}
            </button>
          ) : null}
          <button class="btn sm" type="button" onClick={() => setParams({ from: 'now-1d', to: null })}>
            {t('home.widen')}
          </button>
          {!q ? (
            <a class="btn sm quiet" href={href('/setup/logs')}>
              {t('nav.setup')}
            </a>
          ) : null}
        </>
      }
    >
      {q || narrowed ? t('logs.none_sub') : t('logs.none_at_all_sub')}
    </Empty>
  );
}

function HistCard({ hist, v, step }: { hist: Query<Aggregate>; v: View; step: string }): VNode {
  const h = useMemo(() => (hist.data ? toHist(hist.data, v, stepMs(step)) : null), [hist.data, step]);
  const now = v.to === 'now' ? v.range.to_ms : Infinity;
  return (
    <div class="hist">
      <div class="hstack">
        <span class="strong fs12">{t('logs.by_status')}</span>
        <span class="t3 fs12 hide-narrow">{t('logs.per', { s: step })}</span>
        <span class="end" />
        {h ? (
          <span class="legend">
            <span>
              <i class="sw" style={{ background: 'var(--bar)' }} />
              {t('logs.info')} <span class="t3">{fmtInt(h.counts.info)}</span>
            </span>
            <span>
              <i class="sw sw-warn" />
              {t('logs.warn')} <span class="t3">{fmtInt(h.counts.warn)}</span>
            </span>
            <span>
              <i class="sw" style={{ background: 'var(--error)' }} />
              {t('logs.error')} <span class="t3">{fmtInt(h.counts.error)}</span>
            </span>
          </span>
        ) : null}
      </div>
      {h ? (
        <div class={hist.stale && hist.loading && hist.late ? 'stale' : ''}>
          <Bars
            from={h.from}
            step={h.step}
            series={h.series}
            label={t('logs.hist_label', { n: fmtInt(h.total), e: fmtInt(h.counts.error) })}
            onZoom={zoomTo}
            partialFrom={Number.isFinite(now) ? Math.floor((now - h.from) / h.step) : undefined}
          />
        </div>
      ) : hist.error ? (
        <ErrorPanel error={hist.error} retry={hist.retry} />
      ) : (
        <div class="hist-skel">{hist.late ? <i class="skel" /> : null}</div>
      )}
    </div>
  );
}

export default function Logs(): VNode {
  const v = useView();
  const q = v.params.q ?? '';
  const full = scoped(q, { env: v.env, service: v.service });
  const sort = v.params.sort === 'timestamp' ? 'timestamp' : '-timestamp';
  const cols = v.params.cols === 'none' ? [] : (v.params.cols ?? 'service').split(',').filter(Boolean);
  const step = STEPS.find((s) => (v.range.to_ms - v.range.from_ms) / stepMs(s) <= 90) ?? '1w';
  const filter = { query: full || '*', from: String(v.range.from_ms), to: String(v.range.to_ms) };
  const key = `logs|${full}|${sort}|${v.key}`;
  const list = useQuery(key, (s) =>
    postJson<LogSearch>('/api/v2/logs/events/search', { filter, sort, page: { limit: PAGE } }, s),
  );
  const hist = useQuery(`hist|${full}|${step}|${v.key}`, (s) =>
    postJson<Aggregate>(
      '/api/v2/logs/analytics/aggregate',
      {
        filter,
        compute: [{ aggregation: 'count', type: 'timeseries', interval: step }],
        group_by: [{ facet: 'status', limit: 20, missing: 'info' }],
      },
      s,
    ),
  );
  const facets = useFacets('logs', full, v);
  const [extra, setExtra] = useState<{ key: string; rows: LogEvent[]; cursor: string | null }>({
    key: '',
    rows: [],
    cursor: null,
  });
  const [busy, setBusy] = useState(false);
  const [sheet, setSheet] = useState(false);
  const mine = extra.key === key ? extra.rows : [];
  const rows = [...(list.data?.data ?? []), ...mine];
  const cursor = extra.key === key ? extra.cursor : (list.data?.meta?.page?.after ?? null);
  const more =
    cursor && !list.loading && rows.length < MAX_ROWS
      ? (): void => {
          if (busy) return;
          setBusy(true);
          postJson<LogSearch>('/api/v2/logs/events/search', { filter, sort, page: { limit: PAGE, cursor } })
            .then((d) =>
              setExtra({
                key,
                rows: [...mine, ...d.data],
                cursor: d.data.length ? (d.meta?.page?.after ?? null) : null,
              }),
            )
            .catch((e: Error) => toast(e.message))
            .finally(() => setBusy(false));
        }
      : null;
  const words = useMemo(() => highlightWords(parseSearch(q).ast), [q]);
  const source = searchSource(
    'logs',
    () => (facets.data?.facets ?? []).map((f) => f.key),
    (k, p, s) => facetValues('logs', k, v, p, s),
  );
  const setQ = (x: string): void => setParams({ q: x });
  const picked = rows.find((r) => r.id === v.params.sel);
  const total = useMemo(() => (hist.data ? toHist(hist.data, v, stepMs(step)).total : null), [hist.data, step]);
  return (
    <Frame
      v={v}
      page="logs"
      title={t('nav.logs')}
      fixed
      busy={(list.loading && list.late) || (hist.loading && hist.late)}
      query={<QueryBar value={q} source={source} onSubmit={setQ} placeholder={t('logs.find')} />}
      statusRight={
        list.elapsed !== null && list.data
          ? t('logs.took', { n: fmtInt(rows.length), s: (list.elapsed / 1000).toFixed(2) })
          : ''
      }
    >
      <div class="split">
        <FacetColumn
          track="logs"
          q={q}
          fullQ={full}
          v={v}
          facets={facets}
          onQuery={setQ}
          sheet={sheet}
          onClose={() => setSheet(false)}
        />
        <div class="main">
          <HistCard hist={hist} v={v} step={step} />
          <div class="listbar">
            <span class="fs12 t2 nowrap" aria-live="polite">
              <b class="strong">{total === null ? '…' : fmtInt(total)}</b> {t('logs.events')}
            </span>
            <span class="end" />
            {words.length ? (
              <span class="hstack tight hide-narrow fs12">
                <span class="t3">{t('logs.highlight')}</span>
                {words.slice(0, 3).map((w) => (
                  <mark key={w} class="mono">
                    {w}
                  </mark>
                ))}
              </span>
            ) : null}
            <button
              class="btn quiet sm hide-narrow"
              type="button"
              aria-pressed={!!v.params.wrap}
              onClick={() => setParams({ wrap: v.params.wrap ? null : '1' }, true)}
            >
              {t('logs.wrap')}
            </button>
            <span class="hide-narrow">
              <Columns cols={cols} keys={(facets.data?.facets ?? []).map((f) => f.key)} />
            </span>
            <button class="btn sm only-narrow" type="button" onClick={() => setSheet(true)}>
              <Icon n="filter" cls="s14" />
              {t('filters_n', { n: termCount(q) })}
            </button>
          </div>
          <Await q={list} skeleton={<SkeletonRows rows={22} cols={[100, 16, 0]} />}>
            {() =>
              rows.length === 0 ? (
                <NoLogs v={v} q={q} />
              ) : (
                <LogList
                  key={viewOf(key)}
                  rows={rows}
                  cols={cols}
                  words={words}
                  sort={sort}
                  more={more}
                  loading={busy}
                />
              )
            }
          </Await>
        </div>
        {picked ? (
          <EventPanel key={picked.id} e={picked} q={q} onQuery={setQ} onClose={() => setParams({ sel: null })} />
        ) : null}
      </div>
    </Frame>
  );
}
