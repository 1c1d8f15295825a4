// SPDX-License-Identifier: Apache-2.0
// Traces: facets, duration over time, percentiles, and the list of whole traces sorted by duration, spans, errors or start.
import type { VNode } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { serverNow } from '../../lib/boot';
import { postJson, useQuery, viewOf, Y, type TraceRow, type TraceSearch } from '../../lib/api';
import { fmtCount, fmtDur, fmtInt, pctDigits } from '../../lib/format';
import { t } from '../../lib/i18n';
import { useKeys } from '../../lib/keys';
import { entryState, go, here, href, setEntryState, setParams } from '../../lib/router';
import { scoped } from '../../lib/search';
import { assignSlots, slotVar } from '../../lib/slots';
import { fmtClock, fmtDay, sameDay, timeTitle } from '../../lib/time';
import { linkTo } from '../../lib/url';
import { useView, type View } from '../../lib/view';
import { FacetColumn, facetValues, termCount, useFacets } from '../../ui/facets';
import { Frame } from '../../ui/frame';
import { HeatMap, HeatScale } from '../../ui/heat';
import { Icon, St } from '../../ui/icon';
import { Select } from '../../ui/popover';
import { QueryBar, searchSource } from '../../ui/querybar';
import { Await, Empty, SkeletonRows } from '../../ui/states';
import { toast } from '../../ui/toast';
import { SpanList, useSpans } from './spans';

const SORTS = ['duration', 'spans', 'start', 'errors'];
const PAGE = 50;

function startMs(r: TraceRow): number {
  return Number(BigInt(r.start_ns) / 1000000n);
}

/** Colours over all rows of the list: services by falling self time, so that one service has one colour in this view. */
function listSlots(rows: TraceRow[]): Map<string, number> {
  const sum = new Map<string, number>();
  for (const r of rows) for (const s of r.services) sum.set(s.name, (sum.get(s.name) ?? 0) + s.self_ns);
  return assignSlots([...sum].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1)).map((x) => x[0]));
}

function StandsOut({ r }: { r: TraceRow }): VNode {
  if (r.cold) {
    return (
      <span class="insight inline">
        <Icon n="cold" cls="s14" />
        <span class="cut">
          {t('tr.cold')}{' '}
          {r.cold_ns ? (
            <span class="n">
              {fmtDur(r.cold_ns)} · {Math.round((r.cold_ns / r.duration_ns) * 100)} %
            </span>
          ) : null}
        </span>
      </span>
    );
  }
  const code = Number(r.root.status_code ?? 0);
  if (code >= 400)
    return (
      <span class="insight inline">
        <Icon n="flag" cls="s14" />
        <span class="cut">
          HTTP <span class="n">{code}</span>
        </span>
      </span>
    );
  const top = r.services[0];
  const share = top ? top.self_ns / r.duration_ns : 0;
  if (top && top.name !== r.root.service && share >= 0.4)
    return (
      <span class="insight inline">
        <Icon n="queue" cls="s14" />
        <span class="cut">
          {top.name} <span class="n">{Math.round(share * 100)} %</span>
        </span>
      </span>
    );
  return <span class="t3">{r.root.status_code ? `HTTP ${r.root.status_code}` : ''}</span>;
}

function List({
  rows,
  v,
  sort,
  more,
  loading,
}: {
  rows: TraceRow[];
  v: View;
  sort: string;
  more: (() => void) | null;
  loading: boolean;
}): VNode {
  const slots = listSlots(rows);
  const longest = Math.max(1, ...rows.map((r) => r.duration_ns));
  const most = Math.max(1, ...rows.map((r) => r.span_count));
  const [cur, setCur] = useState(() => entryState<number>('row') ?? -1);
  const scroll = useRef<HTMLDivElement>(null);
  const now = serverNow();
  const select = (n: number): void => {
    const i = Math.max(0, Math.min(rows.length - 1, n));
    setCur(i);
    setEntryState('row', i);
    document.getElementById(`tr-${i}`)?.scrollIntoView({ block: 'nearest' });
    if (i >= rows.length - 5) more?.();
  };
  const open = (i: number): boolean => {
    const r = rows[i];
    if (!r) return false;
    setEntryState('row', i);
    go(linkTo(here().params, `/trace/${r.trace_id}`));
    return true;
  };
  useEffect(() => {
    const at = entryState<number>('row');
    if (at !== undefined && at > 0) document.getElementById(`tr-${at}`)?.scrollIntoView({ block: 'center' });
  }, []);
  useKeys([
    { keys: 'j', scope: 'list', label: 'keys.next_row', run: () => select(cur + 1) },
    { keys: 'k', scope: 'list', label: 'keys.prev_row', run: () => select(cur - 1) },
    { keys: 'Home', scope: 'list', run: () => select(0) },
    { keys: 'End', scope: 'list', run: () => select(rows.length - 1) },
    { keys: 'Enter', scope: 'list', label: 'keys.open_row', run: () => open(cur) },
    { keys: 's', scope: 'list', label: 'keys.sort', run: () => setParams({ sort: nextSort(sort) }) },
  ]);
  const key = sort.replace(/^-/, ''),
    desc = sort.startsWith('-');
  const th = (k: string, label: string, width: string, cls = ''): VNode => (
    <th
      scope="col"
      style={{ width }}
      class={cls}
      aria-sort={key === k ? (desc ? 'descending' : 'ascending') : undefined}
    >
      <button type="button" onClick={() => setParams({ sort: sortValue(key === k && desc ? k : `-${k}`) })}>
        {label}
        {key === k ? <Icon n="sort" /> : null}
      </button>
    </th>
  );
  const plain = (label: string, width: string, cls = ''): VNode => (
    <th scope="col" style={{ width }} class={cls}>
      {label}
    </th>
  );
  return (
    <div
      class="scroll list"
      tabIndex={0}
      role="region"
      aria-label={t('tr.list')}
      ref={scroll}
      onScroll={(e) => {
        const el = e.currentTarget;
        if (el.scrollTop + el.clientHeight > el.scrollHeight - 400) more?.();
      }}
    >
      <table class="tbl traces">
        <thead>
          <tr>
            {th('start', t('tr.start'), '116px', 'c-start')}
            {plain(t('tr.root'), 'auto', 'c-root')}
            {th('duration', t('tr.duration'), '164px', 'c-dur')}
            {th('spans', t('tr.spans'), '68px', 'num c-sp')}
            {th('errors', t('tr.errors'), '64px', 'num c-err')}
            {plain(t('tr.services'), '92px', 'c-svcs')}
            {plain(t('tr.stands_out'), '188px', 'c-ins')}
            {plain('env', '72px', 'c-env')}
          </tr>
        </thead>
        <tbody>
          {rows.map((r, i) => {
            const ms = startMs(r);
            return (
              <tr
                key={r.trace_id}
                id={`tr-${i}`}
                class={i === cur ? 'sel is-cur' : ''}
                aria-selected={i === cur}
                onClick={(e) => {
                  if (!(e.target as Element).closest('a')) open(i);
                }}
              >
                <td class="c-start t2" title={timeTitle(ms, now)}>
                  {sameDay(ms, now) ? '' : `${fmtDay(ms)} `}
                  {fmtClock(ms, 'ms')}
                </td>
                <td class="c-root">
                  <a class="rowlink" href={href(`/trace/${r.trace_id}`)}>
                    <i class="sw" style={{ background: slotVar(slots.get(r.root.service)) }} />
                    {r.root.resource || r.root.name}{' '}
                    {r.root.resource !== r.root.service ? <span class="t3 hide-narrow">{r.root.service}</span> : null}
                  </a>
                </td>
                <td class="c-dur">
                  <span class="durcell">
                    <span>{fmtDur(r.duration_ns)}</span>
                    <span class="track">
                      <i style={{ width: `${(r.duration_ns / longest) * 100}%` }} />
                      {r.cold_ns ? <i class="hatchbar" style={{ width: `${(r.cold_ns / longest) * 100}%` }} /> : null}
                    </span>
                  </span>
                </td>
                <td class="num c-sp">
                  {key === 'spans' ? (
                    <span class="spbar" style={{ '--p': String(r.span_count / most) }}>
                      {fmtInt(r.span_count)}
                    </span>
                  ) : (
                    fmtInt(r.span_count)
                  )}
                  <span class="only-narrow"> {t('tr.spans_word')}</span>
                </td>
                <td class="num c-err">
                  {r.error_count ? <St k="error" word={fmtInt(r.error_count)} /> : <span class="t3">0</span>}
                </td>
                <td class="c-svcs">
                  <span class="dots" title={r.services.map((s) => `${s.name} · ${s.spans}`).join('\n')}>
                    {r.services.slice(0, r.services.length > 7 ? 5 : 7).map((s) => (
                      <i key={s.name} class="sw" style={{ background: slotVar(slots.get(s.name)) }} />
                    ))}
                    {r.services.length > 7 ? <span class="t3 fs12">+{r.services.length - 5}</span> : null}
                    <span class="sr">{r.services.map((s) => s.name).join(', ')}</span>
                  </span>
                </td>
                <td class="c-ins">
                  <StandsOut r={r} />
                </td>
                <td class="c-env t3">{r.env}</td>
              </tr>
            );
          })}
        </tbody>
      </table>
      {loading ? (
        <SkeletonRows rows={3} cols={[96, 0, 140, 60]} />
      ) : more ? (
        <button class="btn quiet sm loadmore" type="button" onClick={more}>
          {t('load_more')}
        </button>
      ) : null}
      <span class="sr">{v.key ? '' : ''}</span>
    </div>
  );
}

function sortValue(s: string): string | null {
  return s === '-duration' ? null : s;
}
function nextSort(s: string): string | null {
  const i = SORTS.indexOf(s.replace(/^-/, ''));
  return sortValue(`-${SORTS[(i + 1) % SORTS.length]}`);
}

function NoMatch({ v, q }: { v: View; q: string }): VNode {
  const narrowed = v.env || v.service || v.params.dmin || v.params.dmax;
  const full = scoped(q, { env: v.env, service: v.service });
  const without = useQuery(narrowed ? `traces-without|${q}|${v.key}` : null, (s) =>
    postJson<TraceSearch>(`${Y}/traces/search`, { q, from: v.range.from_ms, to: v.range.to_ms, limit: 1 }, s),
  );
  const n = without.data?.matched ?? 0;
  return (
    <Empty
      icon="filter"
      title={n ? t('tr.none_but', { n: fmtInt(n) }) : full ? t('tr.none') : t('tr.none_at_all')}
      acts={
        <>
          {narrowed ? (
            <button
              class="btn sm"
              type="button"
              onClick={() => setParams({ env: null, service: null, dmin: null, dmax: null })}
            >
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
          {!full ? (
            <a class="btn sm quiet" href={href('/setup')}>
              {t('nav.setup')}
            </a>
          ) : null}
        </>
      }
    >
      {t('tr.none_sub')}
    </Empty>
  );
}

export default function Traces(): VNode {
  const v = useView();
  const q = v.params.q ?? '';
  const sort = SORTS.includes((v.params.sort ?? '').replace(/^-/, '')) ? (v.params.sort as string) : '-duration';
  const full = scoped(q, { env: v.env, service: v.service });
  const dmin = Number(v.params.dmin ?? 0) * 1e6 || null,
    dmax = Number(v.params.dmax ?? 0) * 1e6 || null;
  const [sheet, setSheet] = useState(false);
  const body = {
    q: full,
    from: v.range.from_ms,
    to: v.range.to_ms,
    sort,
    limit: PAGE,
    min_duration_ns: dmin,
    max_duration_ns: dmax,
    summary: true,
  };
  const qkey = `traces|${full}|${sort}|${dmin}|${dmax}|${v.key}`;
  const single = v.params.viz === 'spans';
  const spans = useSpans(full, v, single);
  const res = useQuery(single ? null : qkey, (s) => postJson<TraceSearch>(`${Y}/traces/search`, body, s));
  const [extra, setExtra] = useState<{ key: string; rows: TraceRow[]; cursor: string | null }>({
    key: '',
    rows: [],
    cursor: null,
  });
  const [loadingMore, setLoadingMore] = useState(false);
  const facets = useFacets('spans', full, v);
  const mine = extra.key === qkey ? extra : { key: qkey, rows: [], cursor: res.data?.cursor ?? null };
  const rows = [...(res.data?.data ?? []), ...mine.rows];
  const cursor = extra.key === qkey ? extra.cursor : (res.data?.cursor ?? null);
  const more =
    cursor && !res.loading && rows.length < 2000
      ? (): void => {
          if (loadingMore) return;
          setLoadingMore(true);
          postJson<TraceSearch>(`${Y}/traces/search`, { ...body, cursor, summary: false })
            .then((d) => setExtra({ key: qkey, rows: [...mine.rows, ...d.data], cursor: d.cursor }))
            .catch((e: Error) => toast(e.message))
            .finally(() => setLoadingMore(false));
        }
      : null;
  const source = searchSource(
    'spans',
    () => (facets.data?.facets ?? []).map((f) => f.key),
    (k, p, s) => facetValues('spans', k, v, p, s),
  );
  const s = single ? undefined : res.data?.summary;
  const setQ = (x: string): void => setParams({ q: x });
  const pct = (label: string, ns: number | undefined): VNode => (
    <button
      type="button"
      disabled={!ns}
      title={t('tr.at_least', { d: fmtDur(ns) })}
      onClick={() => ns && setParams({ dmin: String(Math.floor(ns / 1e6)), dmax: null })}
    >
      <span class="l">{label}</span>
      <b>{fmtDur(ns)}</b>
    </button>
  );
  return (
    <Frame
      v={v}
      page="traces"
      title={t('nav.traces')}
      fixed
      busy={(res.loading && res.late) || (spans.loading && spans.late)}
      query={<QueryBar value={q} source={source} onSubmit={setQ} placeholder={t('tr.find')} />}
      statusRight={
        !single && res.data
          ? `${t('scanned', { n: fmtCount(res.data.scanned.rows), s: ((res.elapsed ?? 0) / 1000).toFixed(2) })} · ${res.data.partial ? t('partial') : t('complete')}`
          : ''
      }
    >
      <div class="split">
        <FacetColumn
          track="spans"
          q={q}
          fullQ={full}
          v={v}
          facets={facets}
          onQuery={setQ}
          sheet={sheet}
          onClose={() => setSheet(false)}
        />
        <div class="main">
          {s && s.count > 0 ? (
            <div class="overview">
              <div class="heat">
                <div class="hstack">
                  <h2 class="nowrap">{t('tr.over_time')}</h2>
                  <span class="t3 fs12 hide-narrow sub cut">{t('tr.over_time_sub')}</span>
                  <span class="end" />
                  <HeatScale max={Math.max(1, ...s.heat.counts)} />
                </div>
                <HeatMap
                  heat={s.heat}
                  label={t('tr.heat_label', { n: fmtInt(s.count), p50: fmtDur(s.p50_ns), p99: fmtDur(s.p99_ns) })}
                  onBox={(from, to, lo, hi) =>
                    setParams({
                      from: String(from),
                      to: String(to),
                      dmin: lo ? String(lo / 1e6) : null,
                      dmax: hi ? String(hi / 1e6) : null,
                    })
                  }
                />
              </div>
            </div>
          ) : null}
          {s && s.count > 0 ? (
            <div class="pct" role="group" aria-label={t('tr.percentiles')}>
              {pct('p50', s.p50_ns)}
              {pct('p75', s.p75_ns)}
              {pct('p90', s.p90_ns)}
              {pct('p95', s.p95_ns)}
              {pct('p99', s.p99_ns)}
              {pct(t('max'), s.max_ns)}
              <button type="button" onClick={() => setParams({ sort: '-errors' })}>
                <span class="l">{t('tr.with_err')}</span>
                <b>{pctDigits(s.count ? s.errors / s.count : 0)} %</b>
              </button>
            </div>
          ) : null}
          <div class="listbar">
            <span class="seg sm" role="group" aria-label={t('tr.rows')}>
              <button type="button" aria-pressed={!single} onClick={() => setParams({ viz: null })}>
                {t('nav.traces')}
              </button>
              <button
                type="button"
                aria-pressed={single}
                onClick={() => setParams({ viz: 'spans', sort: null, dmin: null, dmax: null })}
              >
                {t('tr.spans')}
              </button>
            </span>
            {single ? (
              <span class="fs12 t2 nowrap hide-narrow">{t('tr.newest')}</span>
            ) : (
              <span class="fs12 t2 nowrap" aria-live="polite">
                <b class="strong">{res.data ? fmtInt(res.data.matched) : '…'}</b> {t('tr.n_traces')}
              </span>
            )}
            {single ? null : (
              <span class="seg sm hide-narrow" role="group" aria-label={t('keys.sort')}>
                {SORTS.map((k) => (
                  <button
                    key={k}
                    type="button"
                    aria-pressed={sort.replace(/^-/, '') === k}
                    onClick={() => setParams({ sort: sortValue(`-${k}`) })}
                  >
                    {t(`tr.sort_${k}`)}
                  </button>
                ))}
              </span>
            )}
            {single ? null : (
              <span class="only-narrow">
                <Select
                  label={t('keys.sort')}
                  value={sort.replace(/^-/, '')}
                  choices={SORTS.map((k) => ({ value: k, label: t(`tr.sort_${k}`), text: t(`tr.sort_${k}`) }))}
                  onPick={(k) => setParams({ sort: sortValue(`-${k}`) })}
                />
              </span>
            )}
            {dmin || dmax ? (
              <span class="chip">
                <span class="k">{t('tr.duration')}&nbsp;</span>
                {dmin ? `≥ ${fmtDur(dmin)}` : ''}
                {dmin && dmax ? ' ' : ''}
                {dmax ? `< ${fmtDur(dmax)}` : ''}
                <button
                  type="button"
                  aria-label={t('tr.drop_duration')}
                  onClick={() => setParams({ dmin: null, dmax: null })}
                >
                  <Icon n="close" cls="s12" />
                </button>
              </span>
            ) : null}
            <span class="end" />
            {single ? null : (
              <button class="btn quiet sm hide-narrow" type="button" onClick={() => downloadCsv(rows)}>
                <Icon n="download" cls="s14" />
                CSV
              </button>
            )}
            <button class="btn sm only-narrow" type="button" onClick={() => setSheet(true)}>
              <Icon n="filter" cls="s14" />
              {t('filters_n', { n: termCount(q) })}
            </button>
          </div>
          {single ? (
            <SpanList res={spans} q={full} v={v} />
          ) : (
            <Await q={res} skeleton={<SkeletonRows rows={18} cols={[96, 0, 140, 60, 60]} />}>
              {(d) =>
                d.data.length === 0 ? (
                  <NoMatch v={v} q={q} />
                ) : (
                  <List key={viewOf(qkey)} rows={rows} v={v} sort={sort} more={more} loading={loadingMore} />
                )
              }
            </Await>
          )}
        </div>
      </div>
    </Frame>
  );
}

function downloadCsv(rows: TraceRow[]): void {
  // a text that a spreadsheet would run as a formula is made plain
  const plain = (x: string | number): string => (typeof x === 'string' && /^[=+\-@]/.test(x) ? `'${x}` : String(x));
  const cell = (x: string | number): string => {
    const p = plain(x);
    return /[",\n]/.test(p) ? `"${p.replace(/"/g, '""')}"` : p;
  };
  const head = ['trace_id', 'start_ns', 'duration_ns', 'service', 'resource', 'spans', 'errors', 'env'];
  const lines = rows.map((r) =>
    [r.trace_id, r.start_ns, r.duration_ns, r.root.service, r.root.resource, r.span_count, r.error_count, r.env]
      .map(cell)
      .join(','),
  );
  const a = document.createElement('a');
  a.href = URL.createObjectURL(new Blob([[head.join(','), ...lines].join('\n') + '\n'], { type: 'text/csv' }));
  a.download = 'traces.csv';
  a.click();
  setTimeout(() => URL.revokeObjectURL(a.href), 1000);
}
