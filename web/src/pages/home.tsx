// SPDX-License-Identifier: Apache-2.0
// Home: figures of the fleet, what needs eyes, what arrives, services and functions as table or cells.
import type { VNode } from 'preact';
import { useMemo, useState } from 'preact/hooks';
import { getJson, qs, useInterval, useQuery, Y, type Fleet, type FleetItem, type SetupInfo } from '../lib/api';
import { boot, serverNow } from '../lib/boot';
import {
  countParts,
  durParts,
  fmtAge,
  fmtCount,
  fmtDelta,
  fmtDur,
  fmtInt,
  fmtRate,
  fmtValue,
  pctDigits,
} from '../lib/format';
import { t } from '../lib/i18n';
import { useKeys } from '../lib/keys';
import { go, here, href, setParams } from '../lib/router';
import { fmtClock, fmtDay, sameDay } from '../lib/time';
import { linkTo } from '../lib/url';
import { useStatus, useView, type View } from '../lib/view';
import { Frame } from '../ui/frame';
import { Icon, St, stateKind, stateWord, type StatusKind } from '../ui/icon';
import { Delta } from '../ui/parts';
import { QueryBar, type QuerySource } from '../ui/querybar';
import { Await, Empty, SkeletonRows } from '../ui/states';
import { Spark } from '../ui/svg';

const WORST_ERR = 0.05;

/** `{{service.name}}` of a monitor's name with the value of the group that alerts. */
function named(name: string, group: string): string {
  const tags = new Map(
    group.split(',').map((g) => [g.slice(0, g.indexOf(':')).trim(), g.slice(g.indexOf(':') + 1).trim()]),
  );
  return name.replace(/\{\{\s*([\w.-]+?)(?:\.name)?\s*\}\}/g, (all, k: string) => tags.get(k) ?? all);
}

function since(ms: number): string {
  return sameDay(ms, serverNow()) ? fmtClock(ms) : fmtDay(ms);
}

interface Eye {
  kind: StatusKind;
  name: string;
  why: string;
  spark: (number | null)[];
  since: string;
  go: string;
  href: string;
  rank: number;
}

/** Alerts first, then what got worse against the same window of yesterday. */
function eyes(f: Fleet, q: string): Eye[] {
  const out: Eye[] = [];
  for (const a of f.alerts) {
    const item = f.items.find((i) => a.group.includes(`:${i.name}`) || a.group === i.name);
    out.push({
      kind: stateKind(a.state),
      name: named(a.name, a.group),
      why: [
        a.value === null
          ? stateWord(a.state)
          : `${fmtValue(a.value)}${a.threshold === null ? '' : ` · ${t('home.limit')} ${fmtValue(a.threshold)}`}`,
        a.group === '*' || named(a.name, a.group).includes(a.group.split(':').pop() ?? '') ? '' : a.group,
      ]
        .filter(Boolean)
        .join(' · '),
      spark: item?.errors_spark ?? [],
      since: t('since', { at: since(a.since_ms) }),
      go: t('home.open_monitor'),
      href: href(`/monitors/${a.monitor_id}`),
      rank: a.state === 'Alert' ? 0 : a.state === 'Warn' ? 1 : 2,
    });
  }
  for (const i of f.items) {
    if (i.hits < 10) continue;
    const rate = i.errors / i.hits,
      before = i.prev && i.prev.hits ? i.prev.errors / i.prev.hits : null;
    const slower = fmtDelta(i.p95_ns, i.prev?.p95_ns);
    if (rate >= 0.01 && (before === null || rate >= before * 1.5)) {
      out.push({
        kind: rate >= WORST_ERR ? 'error' : 'warn',
        name: i.name,
        why:
          t('home.errs', { p: pctDigits(rate), n: fmtInt(i.errors) }) +
          (before === null ? '' : ` · ${t('home.was', { p: pctDigits(before) })}`),
        spark: i.errors_spark,
        since: '',
        go: t('home.open_errors'),
        href: href('/traces', { q: `service:${i.name} status:error`, sort: '-start' }),
        rank: 3 - rate,
      });
    } else if (slower && slower.ratio >= 1.5) {
      out.push({
        kind: 'warn',
        name: i.name,
        why: t('home.slower', { x: slower.text, p95: fmtDur(i.p95_ns) }),
        spark: i.p95_spark,
        since: '',
        go: t('home.open_slowest'),
        href: href('/traces', { q: `service:${i.name}` }),
        rank: 4,
      });
    } else if (i.cold > 0 && i.cold / i.hits > 0.1) {
      out.push({
        kind: 'info',
        name: i.name,
        why: t('home.cold', { p: pctDigits(i.cold / i.hits) }),
        spark: i.hits_spark,
        since: '',
        go: t('home.open_slowest'),
        href: href('/traces', { q: `service:${i.name} @cold_start:true` }),
        rank: 5,
      });
    }
  }
  return out
    .filter((e) => !q || e.name.toLowerCase().includes(q.toLowerCase()))
    .sort((a, b) => a.rank - b.rank)
    .slice(0, 8);
}

/** Share of cold starts among the functions' invocations. */
function Cold({ f }: { f: Fleet }): VNode {
  const fns = f.items.filter((i) => i.kind === 'function');
  const cold = fns.reduce((a, i) => a + i.cold, 0),
    hits = fns.reduce((a, i) => a + i.hits, 0);
  return (
    <div class="kpi c-p99k">
      <div class="l">{t('home.cold_starts')}</div>
      <div class="top">
        <span class="v">
          {pctDigits(hits ? cold / hits : 0)}
          <small>%</small>
        </span>
      </div>
      <span class="fs12 t3 under">{t('home.of_inv', { n: fmtCount(hits) })}</span>
    </div>
  );
}

function Kpis({ f }: { f: Fleet }): VNode {
  const { status } = useStatus();
  const m = status?.monitors;
  const secs = (f.range.to_ms - f.range.from_ms) / 1000,
    x = f.totals,
    pv = f.prev;
  const hits = countParts(x.hits),
    p95 = durParts(x.p95_ns ?? 0),
    p99 = durParts(x.p99_ns ?? 0);
  const err = x.hits ? x.errors / x.hits : 0,
    errBefore = pv && pv.hits ? pv.errors / pv.hits : null;
  const step = f.step_ms / 1000;
  const errSpark = x.hits_spark.map((h, i) => (h ? (x.errors_spark[i] ?? 0) / h : 0));
  const silent = f.items.filter((i) => serverNow() - i.last_ms > 5 * 6e4).length;
  return (
    <section class="card" aria-label={t('home.figures')}>
      <div class="kpis flat">
        <a class="kpi" href={href('/monitors')}>
          <div class="l">{t('nav.monitors')}</div>
          <div class="top">
            <span class="v monv">
              {m ? (
                <>
                  <St k="error" word={m.alert} />
                  <St k="warn" word={m.warn} />
                  <St k="nodata" word={m.no_data} />
                </>
              ) : (
                '–'
              )}
            </span>
          </div>
          <span class="fs12 t3 under">{m ? t('home.mon_rest', { ok: m.ok, muted: m.muted }) : ''}</span>
        </a>
        <div class="kpi">
          <div class="l">{t('home.services')}</div>
          <div class="top">
            <span class="v">{fmtInt(x.services + x.functions)}</span>
            <span class="delta end">{silent ? t('home.silent', { n: silent }) : ''}</span>
          </div>
          <span class="fs12 t3 under">{t('home.split', { s: x.services, f: x.functions })}</span>
        </div>
        <div class="kpi">
          <div class="l">{t('home.requests')}</div>
          <div class="top">
            <span class="v">
              {hits.v}
              <small>{hits.u}</small>
            </span>
            <span class="end">
              <Delta now={x.hits} before={pv?.hits} worse="none" />
            </span>
          </div>
          <Spark d={x.hits_spark} w={160} fluid />
        </div>
        <div class="kpi">
          <div class="l">{t('home.rate')}</div>
          <div class="top">
            <span class="v">
              {fmtRate(x.hits / secs)}
              <small>{t('per_s')}</small>
            </span>
          </div>
          <span class="fs12 t3 under">{t('home.peak', { r: fmtRate(Math.max(0, ...x.hits_spark) / step) })}</span>
        </div>
        <div class="kpi">
          <div class="l">{t('home.err_rate')}</div>
          <div class="top">
            <span class="v">
              {pctDigits(err)}
              <small>%</small>
            </span>
            <span class="end">
              <Delta now={err} before={errBefore} />
            </span>
          </div>
          <Spark d={errSpark} w={160} c={err >= 0.01 ? 'var(--error)' : undefined} fluid />
        </div>
        <div class="kpi">
          <div class="l">p95</div>
          <div class="top">
            <span class="v">
              {x.p95_ns === null ? (
                '–'
              ) : (
                <>
                  {p95.v}
                  <small>{p95.u}</small>
                </>
              )}
            </span>
            <span class="end">
              <Delta now={x.p95_ns} before={pv?.p95_ns} />
            </span>
          </div>
          <Spark d={x.p95_spark} w={160} fluid />
        </div>
        {x.functions ? (
          <Cold f={f} />
        ) : (
          <div class="kpi c-p99k">
            <div class="l">p99</div>
            <div class="top">
              <span class="v">
                {x.p99_ns === null ? (
                  '–'
                ) : (
                  <>
                    {p99.v}
                    <small>{p99.u}</small>
                  </>
                )}
              </span>
            </div>
            <span class="fs12 t3 under">p50 {fmtDur(x.p50_ns)}</span>
          </div>
        )}
      </div>
    </section>
  );
}

function Eyes({ f, q }: { f: Fleet; q: string }): VNode {
  const list = eyes(f, q);
  return (
    <section class="card" aria-labelledby="h-eyes">
      <div class="card-h">
        <h2 id="h-eyes">{t('home.eyes')}</h2>
        <span class="sub">{t('home.eyes_sub')}</span>
        <span class="end" />
        <a class="btn quiet sm" href={href('/monitors')}>
          {t('home.all_monitors')}
        </a>
      </div>
      <div>
        {list.map((e, i) => (
          <a class="eye inset" key={i} href={e.href}>
            <St k={e.kind} bare />
            <span class="line">
              <b>{e.name}</b> <span class="why">{e.why}</span>
            </span>
            <span class="sp">
              {e.spark.length ? (
                <Spark
                  d={e.spark}
                  c={e.kind === 'error' ? 'var(--error)' : e.kind === 'warn' ? 'var(--warn)' : undefined}
                />
              ) : null}
            </span>
            <span class="since">{e.since}</span>
            <span class="go">
              {e.go} <Icon n="right" cls="s12" />
            </span>
          </a>
        ))}
        {list.length === 0 ? (
          <div class="allgood">
            <St k="ok" word={t('home.all_good')} />
            <span class="t3 fs12">{t('home.all_good_sub')}</span>
          </div>
        ) : null}
      </div>
    </section>
  );
}

/** What arrives, by kind; the short form of Setup. */
function Arrives(): VNode {
  const q = useQuery('setup', (s) => getJson<SetupInfo>(`${Y}/setup`, s));
  useInterval(10_000, q.retry);
  const shown = ['traces', 'logs', 'metrics', 'dogstatsd', 'stats', 'telemetry', 'events'];
  return (
    <section class="card" aria-labelledby="h-in">
      <div class="card-h">
        <h2 id="h-in">{t('home.arrives')}</h2>
        <span class="end" />
        <a class="btn quiet sm" href={href('/setup')}>
          {t('nav.setup')}
        </a>
      </div>
      <Await q={q} skeleton={<SkeletonRows rows={6} cols={[16, 64, 0, 48]} />}>
        {(d) =>
          d.received
            .filter((r) => shown.includes(r.kind))
            .map((r) => {
              const age = r.last_ms === null ? null : d.now_ms - r.last_ms;
              const kind: StatusKind =
                r.count === 0 ? (r.last_error ? 'error' : 'nodata') : (age ?? 0) > 15 * 6e4 ? 'half' : 'ok';
              return (
                <a class="ready inset" key={r.kind} href={href('/setup')}>
                  <St k={kind} bare word={t(`recv.${kind}`)} />
                  <span>{t(`kind.${r.kind}`)}</span>
                  <span class="fix">
                    {r.count
                      ? [r.services[0] ?? r.client, t('ago', { a: fmtAge(age ?? 0) })].filter(Boolean).join(', ')
                      : r.last_error
                        ? `${r.last_error.status} ${r.last_error.text}`
                        : t('recv.never')}
                  </span>
                  <span class="num">{r.count ? fmtCount(r.count) : '–'}</span>
                </a>
              );
            })
        }
      </Await>
    </section>
  );
}

type SortKey = 'name' | 'hits' | 'err' | 'p50' | 'p95' | 'p99';
const VALUE: Record<SortKey, (i: FleetItem) => number | string> = {
  name: (i) => i.name,
  hits: (i) => i.hits,
  err: (i) => (i.hits ? i.errors / i.hits : 0),
  p50: (i) => i.p50_ns ?? -1,
  p95: (i) => i.p95_ns ?? -1,
  p99: (i) => i.p99_ns ?? -1,
};

function itemHref(i: FleetItem): string {
  return href('/traces', { q: `service:${i.name}` });
}

function alertOf(f: Fleet, i: FleetItem): StatusKind | null {
  const a = f.alerts.find((x) => x.group.split(',').some((g) => g.endsWith(`:${i.name}`)));
  return a ? stateKind(a.state) : null;
}

function FleetTable({ f, items }: { f: Fleet; items: FleetItem[] }): VNode {
  const { params } = here();
  const sort = params.sort ?? '-hits';
  const key = sort.replace(/^-/, '') as SortKey,
    desc = sort.startsWith('-');
  const val = VALUE[key] ?? VALUE.hits;
  const rows = [...items].sort((a, b) => {
    const x = val(a),
      y = val(b);
    return (x < y ? -1 : x > y ? 1 : a.name < b.name ? -1 : 1) * (desc && x !== y ? -1 : 1);
  });
  const [cur, setCur] = useState(-1);
  const open = (i: number): boolean => {
    const it = rows[i];
    if (it) go(linkTo(here().params, '/traces', { q: `service:${it.name}` }));
    return !!it;
  };
  const move = (d: number): void => {
    const n = Math.max(0, Math.min(rows.length - 1, cur + d));
    setCur(n);
    document.getElementById(`fleet-${n}`)?.scrollIntoView({ block: 'nearest' });
  };
  useKeys([
    { keys: 'j', scope: 'list', label: 'keys.next_row', run: () => move(1) },
    { keys: 'k', scope: 'list', label: 'keys.prev_row', run: () => move(-1) },
    { keys: 'Enter', scope: 'list', label: 'keys.open_row', run: () => open(cur) },
  ]);
  const secs = (f.range.to_ms - f.range.from_ms) / 1000;
  const th = (k: SortKey, label: string, cls = '', width?: number): VNode => (
    <th
      scope="col"
      class={cls}
      style={width ? { width: `${width}px` } : {}}
      aria-sort={key === k ? (desc ? 'descending' : 'ascending') : undefined}
    >
      <button type="button" onClick={() => setParams({ sort: key === k && desc ? k : `-${k}` })}>
        {label}
        {key === k ? <Icon n="sort" /> : null}
      </button>
    </th>
  );
  return (
    <table class="tbl fleet">
      <thead>
        <tr>
          {th('name', t('home.name'))}
          <th scope="col" class="c-kind" style={{ width: '96px' }}>
            {t('home.kind')}
          </th>
          {th('hits', t('home.per_s'), 'num', 84)}
          <th scope="col" class="c-sp" style={{ width: '120px' }}>
            <span class="sr">{t('home.trend')}</span>
          </th>
          {th('err', t('home.err_pct'), 'num', 92)}
          {th('p50', 'p50', 'num c-p50', 84)}
          {th('p95', 'p95', 'num', 92)}
          <th scope="col" class="c-d" style={{ width: '64px' }}>
            <span class="sr">{t('vs_day')}</span>
          </th>
          {th('p99', 'p99', 'num c-p99', 84)}
          <th scope="col" class="num c-last" style={{ width: '96px' }}>
            {t('home.last')}
          </th>
        </tr>
      </thead>
      <tbody>
        {rows.map((i, n) => {
          const rate = i.hits ? i.errors / i.hits : 0,
            st = alertOf(f, i);
          return (
            <tr
              key={`${i.name}|${i.env}`}
              id={`fleet-${n}`}
              class={n === cur ? 'is-cur' : ''}
              onClick={() => setCur(n)}
              onDblClick={() => open(n)}
            >
              <td class="c-name">
                <span class="hstack tight">
                  <Icon n={i.kind === 'function' ? 'functions' : 'services'} cls="s14 t3" />
                  {st ? <St k={st} bare /> : null}
                  <a class="rowlink cut" href={itemHref(i)}>
                    {i.name}
                  </a>
                  {i.env ? <span class="t3 fs12 hide-narrow">{i.env}</span> : null}
                </span>
              </td>
              <td class="c-kind t2">{t(`home.${i.kind}`)}</td>
              <td class="num c-rate">{fmtRate(i.hits / secs)}</td>
              <td class="c-sp">
                <Spark d={i.hits_spark} w={104} />
              </td>
              <td class={`num c-err ${rate >= WORST_ERR ? 'c-error strong' : rate >= 0.01 ? 'c-warn' : ''}`}>
                {pctDigits(rate)}
                <span class="only-narrow t3"> %</span>
              </td>
              <td class="num c-p50 t2">{fmtDur(i.p50_ns)}</td>
              <td class="num c-p95">{fmtDur(i.p95_ns)}</td>
              <td class="c-d">
                <Delta now={i.p95_ns} before={i.prev?.p95_ns} />
              </td>
              <td class="num c-p99 t2">{fmtDur(i.p99_ns)}</td>
              <td class="num c-last t3">{t('ago', { a: fmtAge(serverNow() - i.last_ms) })}</td>
            </tr>
          );
        })}
      </tbody>
    </table>
  );
}

/** One cell per service or function, always at the same place: position is memory. */
function FleetCells({ f, items, by }: { f: Fleet; items: FleetItem[]; by: 'err' | 'p95' }): VNode {
  const groups = useMemo(() => {
    const m = new Map<string, FleetItem[]>();
    for (const i of [...items].sort((a, b) => (a.name < b.name ? -1 : 1))) {
      const g = /^([a-z0-9]+)/i.exec(i.name)?.[1] ?? i.name;
      m.set(g, [...(m.get(g) ?? []), i]);
    }
    if (m.size <= items.length / 3) return [...m];
    const by = new Map<string, FleetItem[]>();
    for (const i of [...m.values()].flat()) {
      const g = t(`home.${i.kind}s`) + (i.env ? ` · ${i.env}` : '');
      by.set(g, [...(by.get(g) ?? []), i]);
    }
    return [...by].sort((a, b) => (a[0] < b[0] ? -1 : 1));
  }, [items]);
  const maxP95 = Math.max(1, ...items.map((i) => i.p95_ns ?? 0));
  const level = (i: FleetItem): number => {
    const x =
      by === 'err'
        ? (i.hits ? i.errors / i.hits : 0) / WORST_ERR
        : Math.log1p((i.p95_ns ?? 0) / 1e6) / Math.log1p(maxP95 / 1e6);
    return Math.max(1, Math.min(7, Math.ceil(x * 7)));
  };
  let first = true;
  return (
    <div class="cellgrid" role="grid" aria-labelledby="h-fleet">
      {groups.map(([g, list]) => (
        <div class="teamrow" role="row" key={g}>
          <span role="rowheader">
            {g} <span class="t3 fs12">{list.length}</span>
          </span>
          <span class="cells" role="gridcell">
            {list.map((i) => {
              const st = alertOf(f, i),
                silent = serverNow() - i.last_ms > 5 * 6e4;
              const tab = first;
              first = false;
              return (
                <a
                  key={i.name + i.env}
                  class={`cell ${silent ? 'flag c-nodata' : `h${level(i)}`}`}
                  tabIndex={tab ? 0 : -1}
                  href={itemHref(i)}
                  title={`${i.name} · ${pctDigits(i.hits ? i.errors / i.hits : 0)} % · ${fmtDur(i.p95_ns)}`}
                  aria-label={`${i.name}${st ? ', ' + t(`st.${st}`) : ''}`}
                  onKeyDown={(e) => {
                    const d = ({ ArrowRight: 1, ArrowLeft: -1 } as Record<string, number>)[e.key];
                    if (!d) return;
                    e.preventDefault();
                    const all = [
                      ...(e.currentTarget.closest('.cellgrid')?.querySelectorAll<HTMLElement>('.cell') ?? []),
                    ];
                    all[all.indexOf(e.currentTarget) + d]?.focus();
                  }}
                >
                  {silent ? (
                    <Icon n="st-nodata" />
                  ) : st ? (
                    <span class={`disc c-${st}`}>
                      <Icon n={`st-${st}`} />
                    </span>
                  ) : null}
                </a>
              );
            })}
          </span>
          <span class="r">
            {pctDigits(
              list.reduce((a, i) => a + i.errors, 0) /
                Math.max(
                  1,
                  list.reduce((a, i) => a + i.hits, 0),
                ),
            )}
          </span>
          <span class="r">{fmtDur(Math.max(...list.map((i) => i.p95_ns ?? 0)))}</span>
        </div>
      ))}
    </div>
  );
}

function FleetCard({ f, q, v }: { f: Fleet; q: string; v: View }): VNode {
  const viz = (v.params.viz ?? (f.items.length > 60 ? 'cells' : 'table')) === 'cells' ? 'cells' : 'table';
  const by = v.params.by === 'p95' ? 'p95' : 'err';
  const items = f.items.filter(
    (i) => (!q || i.name.toLowerCase().includes(q.toLowerCase())) && (!v.service || i.name === v.service),
  );
  return (
    <section class="card" aria-labelledby="h-fleet">
      <div class="card-h fleethead">
        <h2 id="h-fleet">{t('home.fleet')}</h2>
        <span class="sub">{t('home.fleet_sub', { n: fmtInt(items.length) })}</span>
        <span class="end" />
        {viz === 'cells' ? (
          <>
            <span class="seg sm" role="group" aria-label={t('home.colour_by')}>
              <button type="button" aria-pressed={by === 'err'} onClick={() => setParams({ by: null }, true)}>
                {t('home.err_rate')}
              </button>
              <button type="button" aria-pressed={by === 'p95'} onClick={() => setParams({ by: 'p95' }, true)}>
                p95
              </button>
            </span>
            <span class="legend hide-narrow">
              <span>
                {by === 'err' ? '0 %' : '0 ms'}{' '}
                <span class="scale" aria-hidden="true">
                  {[1, 2, 3, 4, 5, 6, 7].map((i) => (
                    <i key={i} class={`h${i}`} />
                  ))}
                </span>{' '}
                {by === 'err' ? '≥ 5 %' : fmtDur(Math.max(...items.map((i) => i.p95_ns ?? 0)))}
              </span>
            </span>
          </>
        ) : null}
        <span class="seg sm" role="group" aria-label={t('view')}>
          <button type="button" aria-pressed={viz === 'table'} onClick={() => setParams({ viz: 'table' })}>
            {t('home.table')}
          </button>
          <button type="button" aria-pressed={viz === 'cells'} onClick={() => setParams({ viz: 'cells' })}>
            {t('home.cells')}
          </button>
        </span>
      </div>
      {items.length === 0 ? (
        <Empty
          icon="filter"
          title={t('home.no_match')}
          acts={
            <button class="btn sm" type="button" onClick={() => setParams({ q: null, service: null, env: null })}>
              {t('drop_filters')}
            </button>
          }
        />
      ) : viz === 'cells' ? (
        <FleetCells f={f} items={items} by={by} />
      ) : (
        <FleetTable f={f} items={items} />
      )}
    </section>
  );
}

export default function Home(): VNode {
  const v = useView();
  const q = v.params.q ?? '';
  const fleet = useQuery(`fleet|${v.env}|${v.key}`, (s) =>
    getJson<Fleet>(`${Y}/fleet${qs({ env: v.env, from: v.range.from_ms, to: v.range.to_ms })}`, s),
  );
  const source: QuerySource = {
    parse: () => ({ tokens: [], error: null }),
    suggest: async (text) => {
      const x = text.trim();
      if (/^([0-9a-f]{32}|[0-9a-f]{16}|\d{15,20})$/i.test(x))
        return {
          start: 0,
          end: text.length,
          items: [
            {
              text: x,
              icon: 'traces',
              label: t('home.open_trace', { id: x }),
              run: () => go(linkTo(here().params, `/trace/${x.toLowerCase()}`)),
            },
          ],
        };
      const hits = (fleet.data?.items ?? [])
        .filter((i) => x && i.name.toLowerCase().includes(x.toLowerCase()))
        .slice(0, 8);
      return {
        start: 0,
        end: text.length,
        items: hits.map((i) => ({
          text: i.name,
          icon: i.kind === 'function' ? 'functions' : 'services',
          run: () => go(linkTo(here().params, '/traces', { q: `service:${i.name}` })),
        })),
      };
    },
  };
  const submit = (x: string): void => {
    if (/^([0-9a-f]{32}|[0-9a-f]{16}|\d{15,20})$/i.test(x.trim()))
      go(linkTo(here().params, `/trace/${x.trim().toLowerCase()}`));
    else setParams({ q: x });
  };
  const reported = fleet.data ? fleet.data.items.filter((i) => serverNow() - i.last_ms < 5 * 6e4).length : 0;
  return (
    <Frame
      v={v}
      page="home"
      title={t('nav.home')}
      busy={fleet.loading && fleet.late}
      query={
        <QueryBar value={q} source={source} onSubmit={submit} placeholder={t('home.find')} label={t('home.find')} />
      }
      statusRight={fleet.data ? t('home.reported', { a: fmtInt(reported), b: fmtInt(fleet.data.items.length) }) : ''}
    >
      <div class="page home">
        {!boot.has_data && fleet.data && fleet.data.items.length === 0 ? (
          <section class="card">
            <Empty
              icon="setup"
              title={t('home.nothing')}
              acts={
                <a class="btn primary" href={href('/setup')}>
                  {t('home.to_setup')}
                </a>
              }
            >
              {t('home.nothing_sub')}
            </Empty>
          </section>
        ) : null}
        <Await
          q={fleet}
          skeleton={
            <>
              <div class="card">
                <SkeletonRows rows={3} cols={[0, 0, 0, 0, 0, 0]} />
              </div>
              <div class="card">
                <SkeletonRows rows={8} cols={[16, 0, 96, 76]} />
              </div>
            </>
          }
        >
          {(f) =>
            !boot.has_data && !f.items.length ? (
              <Arrives />
            ) : (
              <div class="vstack">
                <Kpis f={f} />
                <div class="homegrid">
                  <Eyes f={f} q={q} />
                  <Arrives />
                </div>
                {f.items.length || q ? (
                  <FleetCard f={f} q={q} v={v} />
                ) : boot.has_data ? (
                  <section class="card">
                    <Empty
                      icon="services"
                      title={t('home.no_spans')}
                      acts={
                        <>
                          <button
                            class="btn sm"
                            type="button"
                            onClick={() => setParams({ from: 'now-1d', to: null, env: null })}
                          >
                            {t('home.widen')}
                          </button>
                          <a class="btn sm quiet" href={href('/setup')}>
                            {t('nav.setup')}
                          </a>
                        </>
                      }
                    >
                      {t('home.no_spans_sub')}
                    </Empty>
                  </section>
                ) : null}
              </div>
            )
          }
        </Await>
      </div>
    </Frame>
  );
}
