// SPDX-License-Identifier: Apache-2.0
// Metric query syntax and formulas: parser with the column of the furthest failure, colour tokens.
// Same vectors as the server's parser: test/vectors/metric.json.

export interface MToken {
  kind: 'key' | 'op' | 'fn' | 'num' | 'str' | 'text';
  start: number;
  end: number;
}
export interface Series {
  t: 'series';
  aggr: string | null;
  metric: string;
  scope: string;
  by: string[];
  mods: string[];
  start: number;
  end: number;
}
export type MNode =
  | Series
  | { t: 'num'; v: number; start: number; end: number }
  | { t: 'var'; name: string; start: number; end: number }
  | { t: 'call'; fn: string; args: MNode[]; mods: string[]; start: number; end: number }
  | { t: 'bin'; op: string; c: [MNode, MNode]; start: number; end: number }
  | { t: 'neg'; c: MNode; start: number; end: number };
export interface MParsed {
  parts: MNode[];
  tokens: MToken[];
  error: { why: string; column: number } | null;
}

/** Function name → [least, most] arguments. */
const FUNCTIONS: Record<string, [number, number]> = {
  abs: [1, 1],
  log2: [1, 1],
  log10: [1, 1],
  cumsum: [1, 1],
  integral: [1, 1],
  default_zero: [1, 1],
  default: [2, 2],
  count_nonzero: [1, 1],
  count_not_null: [1, 1],
  per_second: [1, 1],
  per_minute: [1, 1],
  per_hour: [1, 1],
  diff: [1, 1],
  monotonic_diff: [1, 1],
  dt: [1, 1],
  derivative: [1, 1],
  throughput: [1, 1],
  exclude_null: [1, 1],
  clamp_min: [2, 2],
  clamp_max: [2, 2],
  cutoff_min: [2, 2],
  cutoff_max: [2, 2],
  top: [4, 4],
  moving_rollup: [3, 3],
  autosmooth: [1, 1],
  robust_trend: [1, 1],
  trend_line: [1, 1],
  piecewise_constant: [1, 1],
  hour_before: [1, 1],
  day_before: [1, 1],
  week_before: [1, 1],
  month_before: [1, 1],
  timeshift: [2, 2],
  calendar_shift: [3, 3],
  anomalies: [3, 9],
  outliers: [3, 4],
  forecast: [3, 7],
};
for (const n of [3, 5, 7, 10, 20]) FUNCTIONS[`ewma_${n}`] = [1, 1];
for (const n of [3, 5, 7, 9]) FUNCTIONS[`median_${n}`] = [1, 1];
for (const n of [5, 13, 21, 29]) FUNCTIONS[`rollingavg_${n}`] = [1, 1];
for (const d of ['top', 'bottom']) {
  for (const n of [5, 10, 15, 20])
    for (const b of ['mean', 'min', 'max', 'last', 'area', 'l2norm']) FUNCTIONS[`${d}${n}_${b}`] = [1, 1];
}
export const functionNames = Object.keys(FUNCTIONS);
export const AGGREGATORS = ['avg', 'sum', 'min', 'max', 'count'];
const METHODS = ['avg', 'sum', 'min', 'max', 'count'];
const CALENDAR = ['daily', 'weekly', 'monthly', 'yearly'];

class Stop extends Error {}

class Parser {
  i = 0;
  far = 0;
  why = 'expr';
  depth = 0;
  tokens: MToken[] = [];
  constructor(
    readonly s: string,
    readonly formula: boolean,
  ) {}

  fail(why: string, at = this.i): never {
    if (at >= this.far) {
      this.far = at;
      this.why = why;
    }
    throw new Stop(why);
  }
  tok(kind: MToken['kind'], start: number): void {
    if (this.i > start) this.tokens.push({ kind, start, end: this.i });
  }
  ws(): void {
    while (/\s/.test(this.s[this.i] ?? '')) this.i++;
  }
  peek(t: string): boolean {
    return this.s.startsWith(t, this.i);
  }
  eat(t: string, kind: MToken['kind'] = 'op'): boolean {
    if (!this.peek(t)) return false;
    const at = this.i;
    this.i += t.length;
    this.tok(kind, at);
    return true;
  }
  need(t: string, why: string): void {
    if (!this.eat(t)) this.fail(why);
  }
  match(re: RegExp): string | null {
    const m = re.exec(this.s.slice(this.i));
    if (!m || m.index !== 0 || !m[0]) return null;
    this.i += m[0].length;
    return m[0];
  }

  query(): MNode[] {
    const out: MNode[] = [];
    do {
      this.ws();
      out.push(this.expr());
      this.ws();
    } while (this.eat(','));
    if (this.i < this.s.length) this.fail('junk');
    return out;
  }
  expr(): MNode {
    if (++this.depth > 64) this.fail('deep');
    const start = this.i;
    let left = this.term();
    for (;;) {
      const back = this.i;
      this.ws();
      const op = this.s[this.i];
      if (op !== '+' && op !== '-') {
        this.i = back;
        break;
      }
      this.eat(op);
      this.ws();
      left = { t: 'bin', op, c: [left, this.term()], start, end: this.i };
    }
    this.depth--;
    return left;
  }
  term(): MNode {
    const start = this.i;
    let left = this.factor();
    for (;;) {
      const back = this.i;
      this.ws();
      const op = this.s[this.i];
      if (op !== '*' && op !== '/') {
        this.i = back;
        break;
      }
      this.eat(op);
      this.ws();
      left = { t: 'bin', op, c: [left, this.factor()], start, end: this.i };
    }
    return left;
  }
  factor(): MNode {
    const start = this.i;
    if (this.eat('-')) {
      this.ws();
      return { t: 'neg', c: this.factor(), start, end: this.i };
    }
    return this.primary();
  }
  primary(): MNode {
    const start = this.i;
    if (this.eat('(')) {
      this.ws();
      const n = this.expr();
      this.ws();
      this.need(')', 'open');
      this.mods();
      return n;
    }
    const num = this.match(/^(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?/);
    if (num) {
      this.tok('num', start);
      return { t: 'num', v: Number(num), start, end: this.i };
    }
    const id = this.match(/^[A-Za-z][A-Za-z0-9_.]*/);
    if (!id) this.fail('expr');
    if (this.peek('(')) return this.call(id as string, start);
    if (this.formula) {
      if (!/^[A-Za-z][A-Za-z0-9_]*$/.test(id as string)) this.fail('name', start);
      this.tok('key', start);
      return { t: 'var', name: id as string, start, end: this.i };
    }
    return this.series(id as string, start);
  }
  call(fn: string, start: number): MNode {
    const arity = FUNCTIONS[fn];
    if (!arity) this.fail('function', start);
    this.tok('fn', start);
    this.eat('(');
    this.ws();
    const args = [this.expr()];
    let n = 1;
    for (;;) {
      this.ws();
      if (this.eat(')')) break;
      this.need(',', 'comma');
      this.ws();
      const a = this.arg();
      if (a) args.push(a);
      n++;
    }
    if (n < (arity as [number, number])[0] || n > (arity as [number, number])[1]) this.fail('arity', this.i - 1);
    return { t: 'call', fn, args, mods: this.mods(), start, end: this.i };
  }
  arg(): MNode | null {
    const start = this.i;
    if (this.match(/^'[^']*'|^"[^"]*"/)) {
      this.tok('str', start);
      return null;
    }
    if (this.match(/^[a-z_]+\s*=\s*/)) {
      this.tok('key', start);
      const at = this.i;
      if (this.match(/^'[^']*'|^"[^"]*"/)) {
        this.tok('str', at);
        return null;
      }
      if (this.match(/^-?\d+(\.\d+)?/)) {
        this.tok('num', at);
        return null;
      }
      this.fail('value');
    }
    return this.expr();
  }
  series(first: string, start: number): MNode {
    let aggr: string | null = null;
    let metric = first;
    if (this.peek(':')) {
      if (!AGGREGATORS.includes(first) && first !== 'histogram' && !/^p\d+(\.\d+)?$/.test(first))
        this.fail('aggregator', start);
      this.tok('fn', start);
      this.eat(':');
      aggr = first;
      const at = this.i;
      const m = this.match(/^[A-Za-z][A-Za-z0-9_.]*/);
      if (!m) this.fail('metric', at);
      metric = m as string;
      this.tok('text', at);
    } else this.tok('text', start);
    if (!this.peek('{')) this.fail('scope');
    this.eat('{');
    const at = this.i;
    this.scope();
    const scope = this.s.slice(at, this.i).trim();
    this.ws();
    this.need('}', 'brace');
    return { t: 'series', aggr, metric, scope, by: this.by(), mods: this.mods(), start, end: this.i };
  }
  by(): string[] {
    const back = this.i;
    this.ws();
    const kw = this.i;
    if (!this.match(/^by(?=[\s{])/)) {
      this.i = back;
      return [];
    }
    this.tok('op', kw);
    this.ws();
    this.need('{', 'by');
    const keys: string[] = [];
    do {
      this.ws();
      const at = this.i;
      const k = this.match(/^[^\s,{}()]+/);
      if (!k) this.fail('key');
      this.tok('key', at);
      keys.push(k as string);
      this.ws();
    } while (this.eat(','));
    this.need('}', 'brace');
    return keys;
  }
  /** `*`, a comma list (with `!`), or AND/OR/NOT/IN: the two styles must not be mixed. */
  scope(): void {
    const start = this.i;
    this.ws();
    if (this.eat('*')) {
      this.ws();
      if (this.peek('}')) return;
      this.i = start;
    }
    const body = this.s.slice(start, this.closing(start));
    const words = body.replace(/\([^()]*\)/g, (m) => (/\bin\s*$/i.test(body.slice(0, body.indexOf(m))) ? '' : m));
    const boolean = /(^|[\s()])(AND|and|OR|or|NOT|not|IN|in)(?=[\s()])/.test(words) || /[()]/.test(words);
    if (!boolean) return this.symList();
    if (/(^|[\s(,])!/.test(body) || /,/.test(words)) this.fail('mixed', start);
    this.boolOr();
  }
  closing(from: number): number {
    const at = this.s.indexOf('}', from);
    return at < 0 ? this.s.length : at;
  }
  symList(): void {
    do {
      this.ws();
      this.eat('!');
      this.matcher();
      this.ws();
    } while (this.eat(','));
  }
  boolOr(): void {
    this.boolAnd();
    for (;;) {
      this.ws();
      if (!this.kw('OR')) return;
      this.boolAnd();
    }
  }
  boolAnd(): void {
    this.boolNot();
    for (;;) {
      this.ws();
      if (!this.kw('AND')) return;
      this.boolNot();
    }
  }
  kw(w: string): boolean {
    const at = this.i;
    if (!this.match(new RegExp(`^(${w}|${w.toLowerCase()})(?=[\\s(])`))) return false;
    this.tok('op', at);
    return true;
  }
  boolNot(): void {
    this.ws();
    if (this.kw('NOT')) this.ws();
    if (this.eat('(')) {
      this.boolOr();
      this.ws();
      this.need(')', 'open');
      return;
    }
    const at = this.i;
    if (this.match(/^[^\s,(){}:!]+(?=\s+((NOT|not)\s+)?(IN|in)\s*\()/)) {
      this.tok('key', at);
      this.ws();
      if (this.kw('NOT')) this.ws();
      this.kw('IN');
      this.ws();
      this.need('(', 'in');
      do {
        this.ws();
        const v = this.i;
        if (!this.match(/^[^\s,(){}!]+/)) this.fail('value');
        this.tok('text', v);
        this.ws();
      } while (this.eat(','));
      this.need(')', 'open');
      return;
    }
    this.matcher();
  }
  matcher(): void {
    const at = this.i;
    const key = this.match(/^[^\s,(){}:!]+/);
    if (!key) this.fail('tag');
    if (this.peek(':')) {
      this.tok('key', at);
      this.eat(':');
      this.ws();
      const v = this.i;
      if (!this.match(/^[^\s,(){}]+/)) this.fail('value');
      this.tok('text', v);
    } else this.tok('text', at);
  }
  mods(): string[] {
    const out: string[] = [];
    while (this.peek('.')) {
      const at = this.i;
      const name = this.match(/^\.(as_count|as_rate|weighted|rollup|fill)/);
      if (!name) this.fail('modifier');
      this.tok('fn', at);
      this.need('(', 'modifier');
      this.ws();
      if (name === '.rollup') this.rollup();
      else if (name === '.fill') {
        const f = this.i;
        if (!this.match(/^(linear|last|zero|null)/)) this.fail('fill', f);
        this.tok('text', f);
        this.ws();
        if (this.eat(',')) this.seconds();
      }
      this.ws();
      this.need(')', 'open');
      out.push(this.s.slice(at, this.i));
    }
    return out;
  }
  seconds(): void {
    this.ws();
    const at = this.i;
    if (!this.match(/^\d+/)) this.fail('seconds');
    this.tok('num', at);
  }
  rollup(): void {
    const at = this.i;
    if (/\d/.test(this.s[this.i] ?? '')) return this.seconds();
    const m = this.match(/^[a-z]+/);
    if (!m || !METHODS.includes(m)) this.fail('rollup', at);
    this.tok('text', at);
    this.ws();
    if (!this.eat(',')) return;
    this.ws();
    if (/\d/.test(this.s[this.i] ?? '')) return this.seconds();
    const c = this.i;
    const cal = this.match(/^[a-z]+/);
    if (!cal || !CALENDAR.includes(cal)) this.fail('rollup', c);
    this.tok('text', c);
    for (;;) {
      this.ws();
      if (!this.eat(',')) return;
      this.ws();
      const a = this.i;
      if (!this.match(/^'[^']*'|^"[^"]*"|^[^,()]+/)) this.fail('value');
      this.tok('str', a);
    }
  }
}

function run(s: string, formula: boolean): MParsed {
  const p = new Parser(s, formula);
  try {
    return { parts: p.query(), tokens: p.tokens, error: null };
  } catch (e) {
    if (!(e instanceof Stop)) throw e;
    return { parts: [], tokens: p.tokens, error: { why: p.why, column: p.far + 1 } };
  }
}

export function parseMetric(s: string): MParsed {
  return run(s, false);
}
/** `a / b * 100` over the names of query lines. */
export function parseFormula(s: string): MParsed {
  return run(s, true);
}

/** The query as one series, for the builder; null when it is more than that. */
export function asSeries(s: string): Series | null {
  const p = parseMetric(s);
  const n = p.parts[0];
  return !p.error && p.parts.length === 1 && n?.t === 'series' ? n : null;
}

export function formatSeries(n: Omit<Series, 't' | 'start' | 'end'>): string {
  return `${n.aggr ? n.aggr + ':' : ''}${n.metric}{${n.scope || '*'}}${n.by.length ? ` by {${n.by.join(',')}}` : ''}${n.mods.join('')}`;
}

/** What the cursor stands in, for suggestions. */
export interface MSpot {
  kind: 'metric' | 'tag' | 'value' | 'by';
  metric: string;
  key: string;
  prefix: string;
  start: number;
  end: number;
}
export function metricSpot(s: string, pos: number): MSpot {
  const left = s.slice(0, pos);
  const open = left.lastIndexOf('{');
  const close = left.lastIndexOf('}');
  const word = (re: RegExp): [number, number] => {
    let a = pos,
      b = pos;
    while (a > 0 && re.test(s[a - 1] as string)) a--;
    while (b < s.length && re.test(s[b] as string)) b++;
    return [a, b];
  };
  if (open > close) {
    const before = left.slice(0, open);
    const isBy = /\bby\s*$/.test(before);
    const metric = /([A-Za-z][A-Za-z0-9_.]*)\s*(\{[^{}]*\}\s*by\s*)?$/.exec(before)?.[1] ?? '';
    const [a, b] = word(/[^\s,{}()!]/);
    const text = s.slice(a, pos);
    const colon = text.indexOf(':');
    if (isBy) return { kind: 'by', metric, key: '', prefix: text, start: a, end: b };
    if (colon >= 0)
      return {
        kind: 'value',
        metric,
        key: text.slice(0, colon),
        prefix: text.slice(colon + 1),
        start: a + colon + 1,
        end: b,
      };
    return { kind: 'tag', metric, key: '', prefix: text, start: a, end: b };
  }
  const [a, b] = word(/[A-Za-z0-9_.]/);
  return { kind: 'metric', metric: '', key: '', prefix: s.slice(a, pos), start: a, end: b };
}
