// SPDX-License-Identifier: Apache-2.0
// What the waterfall draws, computed once per trace from the block: groups of repeated siblings, gaps, critical path, findings.
import { FLAG, type TraceBlock } from './traceblock';

/** ≥ this many alike siblings under one parent become one row. */
export const GROUP_MIN = 10;

export interface Group {
  first: number;
  parent: number;
  rows: number[];
  start: number;
  end: number;
  sum: number;
  min: number;
  max: number;
  errors: number;
  sequential: number;
}
/** A stretch of a span in which nothing was recorded; `kind` names the cause when one is known. */
export interface Gap {
  row: number;
  from: number;
  to: number;
  kind: 'init' | 'gap';
}
export interface Finding {
  kind: 'cold' | 'repeat' | 'queue' | 'gap' | 'slow' | 'error';
  row: number;
  ns: number;
  share: number;
  label: string;
  n?: number;
}
export interface Analysis {
  total: number;
  rootEnd: number;
  groups: Map<number, Group>;
  groupOf: Map<number, Group>;
  gaps: Map<number, Gap>;
  critical: Map<number, [number, number][]>;
  findings: Finding[];
  errors: number;
  subErrors: Uint32Array;
}

export function childrenOf(t: TraceBlock, row: number): number[] {
  const out: number[] = [];
  for (let c = row + 1; c < (t.endOf[row] as number); c = t.endOf[c] as number) out.push(c);
  return out;
}

export function rootsOf(t: TraceBlock): number[] {
  const out: number[] = [];
  for (let r = 0; r < t.n; r = t.endOf[r] as number) out.push(r);
  return out;
}

const end = (t: TraceBlock, i: number): number => (t.startOff[i] as number) + (t.dur[i] as number);

export function analyse(t: TraceBlock): Analysis {
  let total = 0;
  const roots = rootsOf(t);
  for (let i = 0; i < t.n; i++) total = Math.max(total, end(t, i));
  const main = roots.find((r) => t.parent[r] === -1) ?? 0;
  const a: Analysis = {
    total: Math.max(total, 1),
    rootEnd: t.n ? end(t, main) : 0,
    groups: new Map(),
    groupOf: new Map(),
    gaps: new Map(),
    critical: new Map(),
    findings: [],
    errors: 0,
    subErrors: new Uint32Array(t.n),
  };
  for (let i = t.n - 1; i >= 0; i--) {
    const e = (t.flag[i] as number) & FLAG.error ? 1 : 0;
    a.errors += e;
    a.subErrors[i] = (a.subErrors[i] as number) + e;
    const p = t.parent[i] as number;
    if (p >= 0) a.subErrors[p] = (a.subErrors[p] as number) + (a.subErrors[i] as number);
  }
  findGroups(t, a);
  findGaps(t, a);
  if (t.n) walkCritical(t, a, main);
  findings(t, a, main);
  return a;
}

function findGroups(t: TraceBlock, a: Analysis): void {
  const visit = (parent: number, kids: number[]): void => {
    if (kids.length < GROUP_MIN) return;
    const by = new Map<string, number[]>();
    for (const k of kids) {
      const key = `${t.service[k]}/${t.name[k]}/${t.resource[k]}`;
      const list = by.get(key);
      if (list) list.push(k);
      else by.set(key, [k]);
    }
    for (const rows of by.values()) {
      if (rows.length < GROUP_MIN) continue;
      const g: Group = {
        first: rows[0] as number,
        parent,
        rows,
        start: Infinity,
        end: 0,
        sum: 0,
        min: Infinity,
        max: 0,
        errors: 0,
        sequential: 0,
      };
      let lastEnd = -Infinity;
      for (const r of rows) {
        const s = t.startOff[r] as number,
          d = t.dur[r] as number;
        if (s >= lastEnd) g.sequential++;
        lastEnd = Math.max(lastEnd, s + d);
        g.start = Math.min(g.start, s);
        g.end = Math.max(g.end, s + d);
        g.sum += d;
        g.min = Math.min(g.min, d);
        g.max = Math.max(g.max, d);
        g.errors += a.subErrors[r] as number;
        a.groupOf.set(r, g);
      }
      a.groups.set(g.first, g);
    }
  };
  visit(-1, rootsOf(t));
  for (let i = 0; i < t.n; i++) if ((t.endOf[i] as number) - i > GROUP_MIN) visit(i, childrenOf(t, i));
}

/** Per span the longest stretch covered by no child: ≥ 20 % of the span, or ≥ 100 ms before its first child on a cold start. */
function findGaps(t: TraceBlock, a: Analysis): void {
  for (let i = 0; i < t.n; i++) {
    if ((t.endOf[i] as number) === i + 1) continue;
    if ((t.flag[i] as number) & FLAG.inferred && (t.flag[i] as number) & FLAG.async) continue;
    const s = t.startOff[i] as number,
      d = t.dur[i] as number;
    if (d < 1e6) continue;
    let at = s,
      from = 0,
      to = 0,
      cold = false;
    const note = (x: number): void => {
      if (x - at > to - from) {
        from = at;
        to = x;
      }
    };
    const kids = childrenOf(t, i);
    for (const k of kids) {
      note(Math.min(t.startOff[k] as number, s + d));
      at = Math.max(at, end(t, k));
      if ((t.flag[k] as number) & FLAG.cold) cold = true;
    }
    note(s + d);
    const len = to - from;
    const before = from === s && kids.length > 0;
    if (before && len >= 100e6 && (cold || ((t.flag[i] as number) & FLAG.cold) !== 0))
      a.gaps.set(i, { row: i, from, to, kind: 'init' });
    else if (len >= d * 0.2 && len >= 20e6 && len >= a.total * 0.02) a.gaps.set(i, { row: i, from, to, kind: 'gap' });
  }
}

/** From the end of the root backwards: always the child that finished last before the point reached. */
function walkCritical(t: TraceBlock, a: Analysis, root: number): void {
  const add = (row: number, from: number, to: number): void => {
    if (to - from <= 0) return;
    const list = a.critical.get(row);
    if (list) list.push([from, to]);
    else a.critical.set(row, [[from, to]]);
  };
  const stack: [number, number][] = [[root, end(t, root)]];
  let steps = 0;
  while (stack.length && steps++ < 200_000) {
    const [row, until] = stack.pop() as [number, number];
    const start = t.startOff[row] as number;
    let at = Math.min(until, end(t, row));
    const kids = childrenOf(t, row)
      .filter((k) => (t.startOff[k] as number) < at)
      .sort((x, y) => end(t, y) - end(t, x));
    for (const k of kids) {
      const ks = t.startOff[k] as number,
        ke = end(t, k);
      if (ke > at + 1 || ks >= at) continue;
      add(row, ke, at);
      stack.push([k, ke]);
      at = ks;
      if (at <= start) break;
    }
    add(row, start, at);
  }
}

function findings(t: TraceBlock, a: Analysis, main: number): void {
  if (!t.n) return;
  const whole = Math.max(1, t.dur[main] as number);
  const out: Finding[] = [];
  for (const g of a.gaps.values()) {
    const ns = g.to - g.from,
      share = ns / whole;
    if (g.kind === 'init' && share >= 0.1)
      out.push({
        kind: 'cold',
        row: g.row,
        ns,
        share,
        label: t.str(t.service[Math.min(t.n - 1, g.row + 1)] as number),
      });
    else if (g.kind === 'gap' && share >= 0.2)
      out.push({ kind: 'gap', row: g.row, ns, share, label: t.str(t.resource[g.row] as number) });
  }
  for (let i = 0; i < t.n; i++) {
    const f = t.flag[i] as number,
      d = t.dur[i] as number;
    if (f & FLAG.cold && t.str(t.name[i] as number) === 'aws.lambda.cold_start' && d / whole >= 0.1) {
      out.push({ kind: 'cold', row: i, ns: d, share: d / whole, label: t.str(t.service[i] as number) });
    }
    if (f & FLAG.inferred && f & FLAG.async && d / a.total >= 0.2) {
      out.push({ kind: 'queue', row: i, ns: d, share: d / whole, label: t.str(t.resource[i] as number) });
    }
    const leaf = (t.endOf[i] as number) === i + 1;
    if (leaf && f & (FLAG.db | FLAG.external) && d / whole >= 0.3 && !a.groupOf.has(i)) {
      out.push({
        kind: 'slow',
        row: i,
        ns: d,
        share: d / whole,
        label: t.str(t.resource[i] as number) || t.str(t.name[i] as number),
      });
    }
  }
  for (const g of a.groups.values()) {
    if (g.sequential < g.rows.length * 0.8) continue;
    const label = `${t
      .str(t.name[g.first] as number)
      .split('.')
      .pop()} ${t.str(t.resource[g.first] as number)}`.trim();
    out.push({
      kind: 'repeat',
      row: g.first,
      ns: g.end - g.start,
      share: (g.end - g.start) / whole,
      label,
      n: g.rows.length,
    });
  }
  out.sort((x, y) => y.ns - x.ns);
  // a gap inside a gap says the same twice
  const seen: Finding[] = [];
  for (const f of out) {
    if (f.kind === 'gap' && seen.some((s) => s.kind === 'gap' || s.kind === 'cold')) continue;
    seen.push(f);
  }
  a.findings = seen.slice(0, 5);
  const firstError = deepestError(t);
  if (firstError >= 0) {
    a.findings.push({
      kind: 'error',
      row: firstError,
      ns: t.dur[firstError] as number,
      share: 0,
      label: t.str(t.resource[firstError] as number),
    });
  }
}

/** The earliest error that has no error below it: where the trouble began. */
function deepestError(t: TraceBlock): number {
  let best = -1;
  for (let i = 0; i < t.n; i++) {
    if (!((t.flag[i] as number) & FLAG.error)) continue;
    let below = false;
    for (let c = i + 1; c < (t.endOf[i] as number); c++)
      if ((t.flag[c] as number) & FLAG.error) {
        below = true;
        break;
      }
    if (!below && (best < 0 || (t.startOff[i] as number) < (t.startOff[best] as number))) best = i;
  }
  return best;
}

/** A row of the drawn list: a span, a folded group, or spans hidden by the service filter. */
export type Row =
  { kind: 'span'; i: number } | { kind: 'group'; g: Group } | { kind: 'hidden'; i: number; n: number; errors: number };

export interface View {
  closed: Set<number>;
  unfolded: Set<number>;
  service: number;
}

/** Rows in drawing order, honouring folded spans, unfolded groups and the service filter (−1 = all). */
export function visibleRows(t: TraceBlock, a: Analysis, view: View): Row[] {
  const rows: Row[] = [];
  let i = 0;
  while (i < t.n) {
    const g = a.groupOf.get(i);
    if (g && !view.unfolded.has(g.first)) {
      if (g.first === i) rows.push({ kind: 'group', g });
      i = t.endOf[i] as number;
      continue;
    }
    if (view.service >= 0 && !touches(t, i, view.service)) {
      let errors = 0,
        n = 0;
      const at = i;
      const p = t.parent[i];
      while (i < t.n && t.parent[i] === p && !touches(t, i, view.service)) {
        errors += a.subErrors[i] as number;
        n += (t.endOf[i] as number) - i;
        i = t.endOf[i] as number;
      }
      rows.push({ kind: 'hidden', i: at, n, errors });
      continue;
    }
    rows.push({ kind: 'span', i });
    i = view.closed.has(i) ? (t.endOf[i] as number) : i + 1;
  }
  return rows;
}

function touches(t: TraceBlock, i: number, service: number): boolean {
  for (let c = i; c < (t.endOf[i] as number); c++) if (t.service[c] === service) return true;
  return false;
}

/** Nice positions for a time axis over [from, to] in ns; at most `max` steps. */
export function axisTicks(from: number, to: number, max: number): number[] {
  const raw = (to - from) / Math.max(1, max);
  const p = 10 ** Math.floor(Math.log10(raw));
  const f = raw / p;
  const step = (f <= 1 ? 1 : f <= 2 ? 2 : f <= 5 ? 5 : 10) * p;
  const out: number[] = [];
  for (let x = Math.ceil(from / step) * step; x <= to + step * 1e-9; x += step)
    out.push(Math.abs(x) < step * 1e-9 ? 0 : x);
  return out;
}
