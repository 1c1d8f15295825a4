// SPDX-License-Identifier: Apache-2.0
// Metrics explorer: query lines and formulas, chart, table by tag, tags of the metric, where it is used.
import type { VNode } from 'preact';
import { useMemo, useState } from 'preact/hooks';
import { getJson, postJson, qs, useQuery, Y, type Facets, type Monitor, type Timeseries } from '../lib/api';
import { fmtBytes, fmtCount, fmtInt, fmtValue } from '../lib/format';
import { t } from '../lib/i18n';
import { useKeys } from '../lib/keys';
import { href, setParams } from '../lib/router';
import {
  AGGREGATORS,
  asSeries,
  formatSeries,
  functionNames,
  metricSpot,
  parseFormula,
  parseMetric,
  type MNode,
  type Series,
} from '../lib/metric';
import { UNIT_MS } from '../lib/time';
import { useView, zoomTo, type View } from '../lib/view';
import { facetValues } from '../ui/facets';
import { Frame } from '../ui/frame';
import { Icon, St, stateKind } from '../ui/icon';
import { LineChart, lineStyle, type LineSeries } from '../ui/linechart';
import { Mid } from '../ui/parts';
import { Select } from '../ui/popover';
import { QueryBar, type QuerySource } from '../ui/querybar';
import { Await, Empty, ErrorPanel, SkeletonRows } from '../ui/states';
import { Spark } from '../ui/svg';

const MAX_LINES = 24;
interface Line {
  text: string;
  formula: boolean;
  name: string;
}

/** One line per query; a line that begins with `=` is a formula over the letters of the others. */
function parseLines(q: string): Line[] {
  let n = 0;
  return q
    .split('\n')
    .filter((x, _i, all) => x.trim() || all.length === 1)
    .map((x) => {
      const formula = x.startsWith('=');
      return { text: formula ? x.slice(1) : x, formula, name: formula ? 'ƒ' : String.fromCharCode(97 + n++) };
    });
}
function joinLines(lines: Line[]): string {
  return lines.map((l) => (l.formula ? `=${l.text}` : l.text)).join('\n');
}

function seriesOf(n: MNode): Series[] {
  if (n.t === 'series') return [n];
  if (n.t === 'call') return n.args.flatMap(seriesOf);
  if (n.t === 'bin') return n.c.flatMap(seriesOf);
  return n.t === 'neg' ? seriesOf(n.c) : [];
}

/** Page scope as tags of every series, unless the query names the key itself. */
function withScope(q: string, v: View): string {
  const p = parseMetric(q);
  if (p.error) return q;
  let out = q;
  const all = p.parts.flatMap(seriesOf).sort((a, b) => b.start - a.start);
  for (const s of all) {
    const add = (
      [
        ['env', v.env],
        ['service', v.service],
      ] as const
    )
      .filter(([k, x]) => x && !new RegExp(`(^|[\\s,(!])${k}:`).test(s.scope))
      .map(([k, x]) => `${k}:${x}`);
    if (!add.length || /\b(AND|OR|NOT|IN)\b/i.test(s.scope)) continue;
    const scope = s.scope === '*' || !s.scope ? add.join(',') : `${s.scope},${add.join(',')}`;
    const text = out.slice(s.start, s.end),
      brace = text.indexOf('{');
    out =
      out.slice(0, s.start) +
      text.slice(0, brace) +
      `{${scope}}` +
      text.slice(text.indexOf('}') + 1) +
      out.slice(s.end);
  }
  return out;
}

function metricSource(v: View): QuerySource {
  return {
    parse: parseMetric,
    recent: 'metrics',
    suggest: async (text, pos, signal) => {
      const s = metricSpot(text, pos);
      if (s.kind === 'metric') {
        const found = await getJson<{ results: { metrics: string[] } }>(
          `/api/v1/search${qs({ q: `metrics:${s.prefix}` })}`,
          signal,
        );
        const fn = s.prefix ? functionNames.filter((f) => f.startsWith(s.prefix)).slice(0, 3) : [];
        const bare = text.slice(s.end).startsWith('{') ? '' : '{*}';
        return {
          start: s.start,
          end: s.end,
          items: [
            ...found.results.metrics.slice(0, 10).map((m) => ({ text: m + bare, icon: 'metrics', label: m })),
            ...fn.map((f) => ({ text: `${f}(`, icon: 'bulb' })),
          ],
        };
      }
      if (!s.metric) return { start: 0, end: 0, items: [] };
      if (s.kind === 'value') {
        const list = await facetValues('metrics', s.key, v, s.prefix, signal, { metric: s.metric });
        return { start: s.start, end: s.end, items: list.map((x) => ({ text: x.value, count: x.count })) };
      }
      const f = await getJson<Facets>(
        `${Y}/facets/metrics${qs({ metric: s.metric, from: v.range.from_ms, to: v.range.to_ms })}`,
        signal,
      );
      const list = f.facets.filter((x) => x.key.includes(s.prefix)).slice(0, 10);
      return {
        start: s.start,
        end: s.end,
        items: list.map((x) => ({ text: s.kind === 'by' ? x.key : `${x.key}:`, count: x.count })),
      };
    },
  };
}
const formulaSource: QuerySource = { parse: parseFormula, suggest: async () => ({ start: 0, end: 0, items: [] }) };

/** Aggregator, grouping and roll-up as selects while the line is one series; text stays the truth. */
function Builder({ line, set, tags }: { line: Line; set: (text: string) => void; tags: string[] }): VNode | null {
  const s = asSeries(line.text);
  if (!s) return null;
  const put = (x: Partial<Series>): void => set(formatSeries({ ...s, ...x }));
  const by = s.by.join(',');
  const count = s.mods.find((m) => /as_(count|rate)/.test(m)) ?? '';
  return (
    <span class="hstack tight builder hide-narrow">
      <Select
        cls="boxed"
        label={t('mx.aggr')}
        value={s.aggr ?? 'avg'}
        choices={[...AGGREGATORS, 'p50', 'p75', 'p90', 'p95', 'p99'].map((a) => ({ value: a, label: a }))}
        onPick={(a) => put({ aggr: a })}
      />
      <Select
        cls="boxed"
        k={t('mx.by')}
        label={t('mx.by')}
        value={by}
        shown={by || t('mx.nothing')}
        choices={[
          { value: '', label: t('mx.nothing') },
          ...[...new Set([...s.by, ...tags])].map((k) => ({ value: k, label: k })),
        ]}
        onPick={(k) => put({ by: k ? [k] : [] })}
      />
      <Select
        cls="boxed"
        label={t('mx.as')}
        value={count}
        shown={count.replace(/^\.|\(\)$/g, '') || t('mx.raw')}
        choices={[
          { value: '', label: t('mx.raw') },
          { value: '.as_count()', label: 'as_count' },
          { value: '.as_rate()', label: 'as_rate' },
        ]}
        onPick={(m) => put({ mods: [...s.mods.filter((x) => !/as_(count|rate)/.test(x)), ...(m ? [m] : [])] })}
      />
    </span>
  );
}

function useSeries(lines: Line[], v: View, shift: number): ReturnType<typeof useQuery<Timeseries>> {
  const ok = lines.filter((l) => l.text.trim() && !(l.formula ? parseFormula(l.text) : parseMetric(l.text)).error);
  const queries = ok
    .filter((l) => !l.formula)
    .map((l) => ({ data_source: 'metrics', name: l.name, query: withScope(l.text, v) }));
  const formulas = ok.filter((l) => l.formula).map((l) => ({ formula: l.text }));
  const key = queries.length ? `ts|${JSON.stringify([queries, formulas])}|${shift}|${v.key}` : null;
  return useQuery(key, (s) =>
    postJson<Timeseries>(
      '/api/v2/query/timeseries',
      {
        data: {
          type: 'timeseries_request',
          attributes: {
            from: v.range.from_ms - shift,
            to: v.range.to_ms - shift,
            queries,
            formulas: formulas.length ? formulas : queries.map((q) => ({ formula: q.name })),
          },
        },
      },
      s,
    ),
  );
}

function seriesName(tags: string[], index: number, lines: Line[]): string {
  const formulas = lines.filter((l) => l.formula && l.text.trim());
  const base = formulas.length ? formulas : lines.filter((l) => !l.formula && l.text.trim());
  const l = base[index];
  const short = l ? (l.formula ? l.text : (asSeries(l.text)?.metric ?? l.text)) : '';
  if (!tags.length) return short;
  if (commonKey(lines)) return tags[0]?.slice(tags[0].indexOf(':') + 1) ?? '';
  return base.length > 1 ? `${l?.name ?? ''} · ${tags.join(', ')}` : tags.join(', ');
}

/** The one key that a single query is grouped by: names then need only the values. */
function commonKey(lines: Line[]): string {
  const shown = lines.filter((l) => l.text.trim());
  const s = shown.length === 1 && shown[0] && !shown[0].formula ? asSeries(shown[0].text) : null;
  return s?.by.length === 1 ? (s.by[0] as string) : '';
}

/** Values in the unit of the only metric shown: bytes by the answer's unit or the name's last word. */
function valueFormat(d: Timeseries | undefined, lines: Line[]): (n: number | null) => string {
  const shown = lines.filter((l) => l.text.trim());
  if (shown.some((l) => l.formula)) return fmtValue;
  const unit = (d?.data.attributes.series[0]?.unit as { name?: string }[] | null | undefined)?.[0]?.name;
  const bytes = unit
    ? unit === 'byte'
    : shown.length > 0 && shown.every((l) => /[._]bytes$/.test(asSeries(l.text)?.metric ?? ''));
  return bytes ? (n) => (n === null ? '–' : fmtBytes(n)) : fmtValue;
}

interface RowData {
  name: string;
  values: (number | null)[];
  last: number | null;
  avg: number;
  min: number;
  max: number;
  sum: number;
  prev: number | null;
  color: string;
  dash?: number[];
  index: number;
}

function tableRows(d: Timeseries, before: Timeseries | undefined, lines: Line[]): RowData[] {
  const a = d.data.attributes;
  const prevBy = new Map(
    before?.data.attributes.series.map((s, i) => [
      `${s.query_index}|${s.group_tags.join()}`,
      before.data.attributes.values[i] ?? [],
    ]) ?? [],
  );
  const rows = a.series
    .map((s, i) => {
      const values = a.values[i] ?? [];
      const real = values.filter((x): x is number => x !== null);
      const sum = real.reduce((x, y) => x + y, 0);
      const prev = prevBy.get(`${s.query_index}|${s.group_tags.join()}`)?.filter((x): x is number => x !== null) ?? [];
      return {
        name: seriesName(s.group_tags, s.query_index, lines),
        values,
        last: real[real.length - 1] ?? null,
        avg: real.length ? sum / real.length : 0,
        min: Math.min(...real),
        max: Math.max(...real),
        sum,
        prev: prev.length ? prev.reduce((x, y) => x + y, 0) / prev.length : null,
        color: '',
        index: i,
      };
    })
    .filter((r) => r.values.some((x) => x !== null))
    .sort((x, y) => y.avg - x.avg);
  return rows.map((r, i) => ({ ...r, ...lineStyle(i) }));
}

function Chart({
  q,
  before,
  shift,
  lines,
  v,
}: {
  q: ReturnType<typeof useSeries>;
  before: ReturnType<typeof useSeries>;
  shift: number;
  lines: Line[];
  v: View;
}): VNode {
  const [only, setOnly] = useState<string | null>(null);
  const d = q.data;
  const fmt = valueFormat(d, lines);
  const rows = useMemo(() => (d ? tableRows(d, before.data, lines) : []), [d, before.data]);
  const times = useMemo(() => {
    if (!d) return [];
    const now = d.data.attributes.times,
      then = (shift && before.data?.data.attributes.times.map((x) => x + shift)) || [];
    return then.length ? [...new Set([...now, ...then])].sort((a, b) => a - b) : now;
  }, [d, before.data, shift]);
  const series = useMemo(() => {
    if (!d) return [];
    const a = d.data.attributes;
    const at = new Map(times.map((x, i) => [x, i]));
    const spread = (ts: number[], vs: (number | null)[], off: number): (number | null)[] => {
      const out = new Array<number | null>(times.length).fill(null);
      ts.forEach((x, i) => {
        const k = at.get(x + off);
        if (k !== undefined) out[k] = vs[i] ?? null;
      });
      return out;
    };
    const shown = rows.filter((r) => !only || r.name === only).slice(0, MAX_LINES);
    const main: LineSeries[] = shown.map((r) => ({
      label: r.name,
      color: r.color,
      dash: r.dash,
      values: spread(a.times, r.values, 0),
    }));
    const b = before.data?.data.attributes;
    if (!shift || !b) return main;
    const old = shown.flatMap((r): LineSeries[] => {
      const s = a.series[r.index];
      const i = b.series.findIndex(
        (x) => x.query_index === s?.query_index && x.group_tags.join() === s?.group_tags.join(),
      );
      return i < 0
        ? []
        : [
            {
              label: `${r.name} · ${t('mx.before')}`,
              color: r.color,
              dash: [4, 4],
              alpha: 0.5,
              values: spread(b.times, b.values[i] ?? [], shift),
            },
          ];
    });
    return [...main, ...old];
  }, [rows, times, only, before.data, shift]);
  return (
    <>
      <section class="card" aria-label={t('mx.chart')}>
        <div class="card-b">
          <Await q={q} skeleton={<i class="skel chart-skel" />}>
            {() =>
              rows.length ? (
                <LineChart
                  times={times}
                  series={series}
                  range={v.range}
                  h={280}
                  onZoom={zoomTo}
                  fmt={fmt}
                  label={t('mx.chart_label', { n: rows.length })}
                />
              ) : (
                <Empty
                  icon="metrics"
                  title={t('mx.none')}
                  acts={
                    <>
                      <button class="btn sm" type="button" onClick={() => setParams({ from: 'now-1d', to: null })}>
                        {t('home.widen')}
                      </button>
                      {v.env || v.service ? (
                        <button class="btn sm" type="button" onClick={() => setParams({ env: null, service: null })}>
                          {t('drop_scope')}
                        </button>
                      ) : null}
                    </>
                  }
                >
                  {t('mx.none_sub')}
                </Empty>
              )
            }
          </Await>
        </div>
      </section>
      {rows.length ? (
        <section class="card" aria-labelledby="h-by">
          <div class="card-h">
            <h2 id="h-by">{t('mx.by_tag')}</h2>
            <span class="sub">
              {t('mx.series', { n: fmtInt(rows.length) })}
              {rows.length > MAX_LINES ? ` · ${t('mx.first', { n: MAX_LINES })}` : ''}
            </span>
          </div>
          <table class="tbl mtable">
            <thead>
              <tr>
                <th scope="col">{commonKey(lines) || t('mx.name')}</th>
                <th scope="col" class="c-sp" style={{ width: '132px' }}>
                  {t('home.trend')}
                </th>
                <th scope="col" class="num" style={{ width: '92px' }}>
                  {t('mx.last')}
                </th>
                <th scope="col" class="num" style={{ width: '92px' }}>
                  {t('mx.avg')}
                </th>
                <th scope="col" class="num c-x" style={{ width: '92px' }}>
                  {t('mx.min')}
                </th>
                <th scope="col" class="num c-x" style={{ width: '92px' }}>
                  {t('mx.max')}
                </th>
                <th scope="col" class="num c-x" style={{ width: '92px' }}>
                  {t('mx.sum')}
                </th>
              </tr>
            </thead>
            <tbody>
              {rows.slice(0, 200).map((r, i) => (
                <tr
                  key={r.name + r.index}
                  class={only === r.name ? 'sel' : ''}
                  onClick={() => setOnly(only === r.name ? null : r.name)}
                >
                  <td>
                    <button type="button" class="hstack tight rowbtn" aria-pressed={only === r.name}>
                      {i < MAX_LINES ? <i class="sw line" style={{ background: r.color }} /> : <i class="sw line" />}
                      <Mid s={r.name} tail={14} />
                    </button>
                  </td>
                  <td class="c-sp">
                    <Spark d={r.values} w={116} />
                  </td>
                  <td class="num">{fmt(r.last)}</td>
                  <td class="num">{fmt(r.avg)}</td>
                  <td class="num t2 c-x">{fmt(r.min)}</td>
                  <td class="num t2 c-x">{fmt(r.max)}</td>
                  <td class="num t2 c-x">{fmt(r.sum)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </section>
      ) : null}
    </>
  );
}

function TagCard({
  metric,
  v,
  line,
  set,
}: {
  metric: string;
  v: View;
  line: Line;
  set: (text: string) => void;
}): VNode {
  const q = useQuery(`mtags|${metric}|${v.key}`, (s) =>
    getJson<Facets>(`${Y}/facets/metrics${qs({ metric, from: v.range.from_ms, to: v.range.to_ms })}`, s),
  );
  const meta = useQuery(`mmeta|${metric}`, (s) =>
    getJson<{ type?: string | null; unit?: string | null }>(`/api/v1/metrics/${encodeURIComponent(metric)}`, s),
  );
  const s = asSeries(line.text);
  const group = (k: string): void => {
    if (s) set(formatSeries({ ...s, by: s.by.includes(k) ? s.by.filter((x) => x !== k) : [...s.by, k] }));
  };
  const add = (k: string, val: string): void => {
    if (!s) return;
    const term = `${k}:${val}`,
      parts = s.scope === '*' || !s.scope ? [] : s.scope.split(',').map((x) => x.trim());
    set(
      formatSeries({
        ...s,
        scope: (parts.includes(term) ? parts.filter((x) => x !== term) : [...parts, term]).join(',') || '*',
      }),
    );
  };
  return (
    <section class="card" aria-labelledby="h-tags">
      <div class="card-h">
        <h2 id="h-tags">{t('mx.tags')}</h2>
        <span class="sub cut mono" title={metric}>
          {metric}
        </span>
        {meta.data?.type ? (
          <span class="badge end">
            {meta.data.type}
            {meta.data.unit ? ` · ${meta.data.unit}` : ''}
          </span>
        ) : null}
      </div>
      <Await q={q} skeleton={<SkeletonRows rows={8} cols={[0, 40]} />}>
        {(d) =>
          d.facets.length ? (
            <div class="taglist">
              {d.facets.map((f) => (
                <div class="tagrow" key={f.key}>
                  <details class="facet" open={f.values.length <= 6}>
                    <summary>
                      <Icon n="right" cls="arrow" />
                      <span class="cut">{f.key}</span>
                      <span class="n">
                        {f.values.length}
                        {f.more ? '+' : ''}
                      </span>
                    </summary>
                    <ul>
                      {f.values.map((x) => (
                        <li key={x.value}>
                          <label
                            class="fv"
                            style={{ '--p': String(x.count / Math.max(1, ...f.values.map((y) => y.count))) }}
                          >
                            <input
                              type="checkbox"
                              disabled={!s}
                              checked={
                                !!s?.scope
                                  .split(',')
                                  .map((y) => y.trim())
                                  .includes(`${f.key}:${x.value}`)
                              }
                              onChange={() => add(f.key, x.value)}
                            />
                            <Mid s={x.value} tail={8} />
                            <span class="n">{fmtCount(x.count)}</span>
                          </label>
                        </li>
                      ))}
                    </ul>
                  </details>
                  <button
                    class={`btn quiet sm ${s?.by.includes(f.key) ? 'is-on' : ''}`}
                    type="button"
                    disabled={!s}
                    aria-pressed={!!s?.by.includes(f.key)}
                    aria-label={`${t('mx.split')} ${f.key}`}
                    onClick={() => group(f.key)}
                  >
                    {t('mx.split')}
                  </button>
                </div>
              ))}
            </div>
          ) : (
            <p class="t3 fs12 none">{t('mx.no_tags')}</p>
          )
        }
      </Await>
    </section>
  );
}

function UsedIn({ metric }: { metric: string }): VNode | null {
  const q = useQuery('monitors', (s) => getJson<Monitor[]>('/api/v1/monitor', s));
  const used = (q.data ?? []).filter((m) => m.query.includes(metric));
  if (!used.length) return null;
  return (
    <section class="card" aria-labelledby="h-used">
      <div class="card-h">
        <h2 id="h-used">{t('mx.used')}</h2>
        <span class="sub">{t('mx.n_monitors', { n: used.length })}</span>
      </div>
      <div>
        {used.slice(0, 8).map((m) => (
          <a class="usedrow inset" key={m.id} href={href(`/monitors/${m.id}`)}>
            <St k={stateKind(m.overall_state)} bare />
            <span class="cut">{m.name}</span>
          </a>
        ))}
      </div>
    </section>
  );
}

function Catalogue({ v, pick }: { v: View; pick: (m: string) => void }): VNode {
  const [find, setFind] = useState('');
  const q = useQuery(`metrics|${v.key}`, (s) =>
    getJson<{ metrics: string[] }>(`/api/v1/metrics${qs({ from: Math.floor(v.range.from_ms / 1000) })}`, s),
  );
  const list = (q.data?.metrics ?? []).filter((m) => m.toLowerCase().includes(find.toLowerCase()));
  const groups = new Map<string, string[]>();
  for (const m of list) {
    const g = m.split('.')[0] as string;
    groups.set(g, [...(groups.get(g) ?? []), m]);
  }
  return (
    <section class="card" aria-labelledby="h-cat">
      <div class="card-h">
        <h2 id="h-cat">{t('mx.catalogue')}</h2>
        <span class="sub">{q.data ? t('mx.n_metrics', { n: fmtInt(list.length) }) : ''}</span>
        <span class="end" />
        <span class="inputwrap">
          <Icon n="search" cls="s14" />
          <input
            class="input sm"
            aria-label={t('mx.find')}
            placeholder={t('mx.find')}
            value={find}
            onInput={(e) => setFind(e.currentTarget.value)}
          />
        </span>
      </div>
      <Await q={q} skeleton={<SkeletonRows rows={10} cols={[0, 0, 0]} />}>
        {() =>
          list.length ? (
            <div class="catalogue">
              {[...groups]
                .sort((a, b) => (a[0] < b[0] ? -1 : 1))
                .map(([g, ms]) => (
                  <section key={g}>
                    <h3>
                      {g} <span class="t3">{ms.length}</span>
                    </h3>
                    <ul>
                      {ms.slice(0, 60).map((m) => (
                        <li key={m}>
                          <button type="button" class="inset mono" onClick={() => pick(m)}>
                            <Mid s={m} tail={16} />
                          </button>
                        </li>
                      ))}
                    </ul>
                  </section>
                ))}
            </div>
          ) : (
            <Empty
              icon="metrics"
              title={find ? t('none_found') : t('mx.no_metrics')}
              acts={
                <a class="btn sm primary" href={href('/setup/dogstatsd')}>
                  {t('home.to_setup')}
                </a>
              }
            >
              {t('mx.no_metrics_sub')}
            </Empty>
          )
        }
      </Await>
    </section>
  );
}

export default function Metrics(): VNode {
  const v = useView();
  const q = v.params.q ?? '';
  const lines = useMemo(() => parseLines(q), [q]);
  const save = (next: Line[]): void => setParams({ q: joinLines(next) });
  const cmp = /^-(\d+)([dw])$/.exec(v.params.cmp ?? '');
  const shift = cmp ? Number(cmp[1]) * (UNIT_MS[cmp[2] as string] as number) : 0;
  const now = useSeries(lines, v, 0);
  const before = useSeries(shift ? lines : [], v, shift);
  const source = metricSource(v);
  const firstLine = lines.find((l) => !l.formula && l.text.trim());
  const metric = firstLine ? (parseMetric(firstLine.text).parts.flatMap(seriesOf)[0]?.metric ?? '') : '';
  const tagKeys = useQuery(metric ? `mtags|${metric}|${v.key}` : null, (s) =>
    getJson<Facets>(`${Y}/facets/metrics${qs({ metric, from: v.range.from_ms, to: v.range.to_ms })}`, s),
  );
  const setLine = (i: number, text: string): void => save(lines.map((l, k) => (k === i ? { ...l, text } : l)));
  const lettered = lines.filter((l) => !l.formula).length;
  useKeys([
    {
      keys: 'a',
      scope: 'list',
      label: 'mx.add_query',
      run: () => save([...lines, { text: `avg:${metric || 'yagura.rows.in'}{*}`, formula: false, name: '' }]),
    },
  ]);
  const empty = !lines.some((l) => l.text.trim());
  return (
    <Frame
      v={v}
      page="metrics"
      title={t('nav.metrics')}
      compare
      busy={now.loading && now.late}
      statusRight={
        now.data
          ? t('mx.took', {
              n: fmtInt(now.data.data.attributes.times.length),
              s: ((now.elapsed ?? 0) / 1000).toFixed(2),
            })
          : ''
      }
    >
      <div class="page">
        <section class="card qlines" aria-label={t('mx.queries')}>
          {lines.map((l, i) => (
            <div class="qline" key={i}>
              <span class={`letter ${l.formula ? 'f' : ''}`}>{l.name}</span>
              <QueryBar
                id={i === 0 ? 'query' : `query-${i}`}
                value={l.text}
                source={l.formula ? formulaSource : source}
                label={l.formula ? t('mx.formula') : t('mx.line', { n: l.name })}
                placeholder={l.formula ? 'b / a * 100' : 'avg:metric.name{env:prod} by {service}'}
                onSubmit={(x) => setLine(i, x)}
              />
              {l.formula ? null : (
                <Builder line={l} set={(x) => setLine(i, x)} tags={(tagKeys.data?.facets ?? []).map((f) => f.key)} />
              )}
              <button
                class="iconbtn sm"
                type="button"
                aria-label={t('mx.drop_line', { n: l.name })}
                disabled={lines.length === 1 && !l.text}
                onClick={() => save(lines.filter((_, k) => k !== i))}
              >
                <Icon n="close" cls="s14" />
              </button>
            </div>
          ))}
          <div class="qacts">
            <button
              class="btn quiet sm"
              type="button"
              disabled={empty}
              onClick={() =>
                save([...lines, { text: lines.find((l) => !l.formula)?.text ?? '', formula: false, name: '' }])
              }
            >
              <Icon n="plus" cls="s14" />
              {t('mx.add_query')}
            </button>
            <button
              class="btn quiet sm"
              type="button"
              disabled={empty}
              onClick={() => save([...lines, { text: lettered > 1 ? 'a / b' : 'a', formula: true, name: '' }])}
            >
              <Icon n="plus" cls="s14" />
              {t('mx.add_formula')}
            </button>
            {now.error && now.data ? <span class="c-error fs12">{now.error.message}</span> : null}
          </div>
        </section>
        {empty ? (
          <Catalogue v={v} pick={(m) => save([{ text: `avg:${m}{*}`, formula: false, name: 'a' }])} />
        ) : (
          <div class="mgrid">
            <div class="vstack">
              <Chart q={now} before={before} shift={shift} lines={lines} v={v} />
              {before.error ? <ErrorPanel error={before.error} retry={before.retry} /> : null}
            </div>
            <div class="vstack">
              {metric && firstLine ? (
                <TagCard metric={metric} v={v} line={firstLine} set={(x) => setLine(lines.indexOf(firstLine), x)} />
              ) : null}
              {metric ? <UsedIn metric={metric} /> : null}
            </div>
          </div>
        )}
      </div>
    </Frame>
  );
}
