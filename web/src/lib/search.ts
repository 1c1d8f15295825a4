// SPDX-License-Identifier: Apache-2.0
// Event search syntax: parser with error column, colour tokens for the query bar, and edits that facets make.
// Same vectors as the server's parser: test/vectors/search.json.

export type Val =
  | { t: 'word' | 'phrase' | 'regex'; text: string; start: number; end: number }
  | { t: 'range'; lo: string; hi: string; incLo: boolean; incHi: boolean; start: number; end: number }
  | { t: 'cmp'; op: string; text: string; start: number; end: number }
  | { t: 'vand' | 'vor'; c: Val[]; start: number; end: number }
  | { t: 'vnot'; c: Val[]; start: number; end: number };
export type Node =
  | { t: 'and' | 'or' | 'not'; c: Node[]; start: number; end: number }
  | { t: 'field'; key: string; val: Val; start: number; end: number }
  | { t: 'free'; val: Val; start: number; end: number }
  | { t: 'cidr'; key: string; nets: string[]; start: number; end: number };
export type TokenKind = 'key' | 'op' | 'str' | 'text';
export interface Token {
  kind: TokenKind;
  start: number;
  end: number;
}
/** `why` is a message key of i18n (`q.err.<why>`); `column` is 1-based. */
export interface SearchError {
  why: string;
  column: number;
}
export interface Parsed {
  ast: Node | null;
  tokens: Token[];
  error: SearchError | null;
}

class Fail extends Error {
  constructor(
    readonly why: string,
    readonly at: number,
  ) {
    super(why);
  }
}

const isWs = (c: string | undefined): boolean => c === ' ' || c === '\t' || c === '\n' || c === '\r';
const NUMBER = /^-?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?(ns|us|µs|ms|s|m|h|d)?$/;
const MAX_DEPTH = 64;
/** Brackets that do not match. The server knows more of the expression than the browser's dialect tells. */
const isBroken = (expression: string): boolean => {
  try {
    new RegExp(expression);
    return false;
  } catch (err) {
    return /Unterminated (group|character class)|Unmatched '\)'/.test(String(err));
  }
};

class Parser {
  i = 0;
  depth = 0;
  readonly tokens: Token[] = [];
  constructor(readonly s: string) {}

  tok(kind: TokenKind, start: number, end = this.i): void {
    if (end > start) this.tokens.push({ kind, start, end });
  }
  ws(): void {
    while (isWs(this.s[this.i])) this.i++;
  }
  end(): boolean {
    return this.i >= this.s.length;
  }
  /** An operator word stands here, delimited by blank, bracket or the end. */
  isWord(w: string): boolean {
    if (!this.s.startsWith(w, this.i)) return false;
    const n = this.s[this.i + w.length];
    return n === undefined || isWs(n) || n === '(' || n === ')';
  }
  word(w: string): boolean {
    if (!this.isWord(w)) return false;
    const at = this.i;
    this.i += w.length;
    this.tok('op', at);
    return true;
  }

  parse(): Node | null {
    this.ws();
    if (this.end()) return null;
    const n = this.or();
    this.ws();
    if (!this.end()) throw new Fail(this.s[this.i] === ')' ? 'close' : 'junk', this.i);
    return n;
  }
  or(): Node {
    const start = this.i;
    const c = [this.and()];
    for (;;) {
      const back = this.i;
      this.ws();
      if (!this.isWord('OR')) {
        this.i = back;
        break;
      }
      this.word('OR');
      this.ws();
      c.push(this.and());
    }
    return c.length === 1 ? (c[0] as Node) : { t: 'or', c, start, end: this.i };
  }
  and(): Node {
    const start = this.i;
    const c = [this.unary()];
    for (;;) {
      const back = this.i;
      this.ws();
      if (this.end() || this.s[this.i] === ')' || this.isWord('OR')) {
        this.i = back;
        break;
      }
      if (this.word('AND')) this.ws();
      c.push(this.unary());
    }
    return c.length === 1 ? (c[0] as Node) : { t: 'and', c, start, end: this.i };
  }
  unary(): Node {
    const start = this.i;
    if (++this.depth > MAX_DEPTH) throw new Fail('deep', this.i);
    let out: Node;
    const next = this.s[this.i + 1];
    if (this.s[this.i] === '-' && next !== undefined && !isWs(next) && next !== ')') {
      this.i++;
      this.tok('op', start);
      out = { t: 'not', c: [this.unary()], start, end: this.i };
    } else if (this.word('NOT')) {
      this.ws();
      out = { t: 'not', c: [this.unary()], start, end: this.i };
    } else out = this.atom();
    this.depth--;
    return out;
  }
  atom(): Node {
    const start = this.i;
    if (this.end()) throw new Fail('term', this.i);
    if (this.isWord('AND') || this.isWord('OR')) throw new Fail('operator', this.i);
    const ch = this.s[this.i];
    if (ch === ')') throw new Fail('term', this.i);
    if (ch === '(') {
      this.i++;
      this.tok('op', start);
      this.ws();
      const n = this.or();
      this.ws();
      if (this.s[this.i] !== ')') throw new Fail('open', start);
      this.i++;
      this.tok('op', this.i - 1);
      return n;
    }
    if (this.s.startsWith('CIDR(', this.i)) return this.cidr();
    if (ch === '"') return { t: 'free', val: this.phrase(), start, end: this.i };
    const name = this.bare(':');
    if (this.s[this.i] === ':') {
      if (this.i === start) throw new Fail('key', start);
      this.tok('key', start);
      this.i++;
      this.tok('op', this.i - 1);
      this.ws();
      return { t: 'field', key: name, val: this.fvalue(), start, end: this.i };
    }
    if (this.s[this.i] === '"') throw new Fail('inner', this.i);
    this.tok('text', start);
    return { t: 'free', val: { t: 'word', text: name, start, end: this.i }, start, end: this.i };
  }
  /** Characters up to a blank, bracket or quote (and `stop`); a backslash takes the next one along. */
  bare(stop = ''): string {
    const start = this.i;
    while (!this.end()) {
      const c = this.s[this.i] as string;
      if (c === '\\') {
        if (this.i + 1 >= this.s.length) throw new Fail('escape', this.i);
        this.i += 2;
        continue;
      }
      if (isWs(c) || c === '(' || c === ')' || c === '"' || c === stop) break;
      this.i++;
    }
    return this.s.slice(start, this.i);
  }
  phrase(): Val {
    const start = this.i++;
    let text = '';
    for (;;) {
      if (this.end()) throw new Fail('quote', start);
      const c = this.s[this.i++] as string;
      if (c === '"') break;
      if (c === '\\') {
        if (this.end()) throw new Fail('quote', start);
        text += this.s[this.i++];
      } else text += c;
    }
    this.tok('str', start);
    return { t: 'phrase', text, start, end: this.i };
  }
  /** ~"expression": only \" is an escape of the search, all others are the expression's. */
  regex(): Val {
    const start = this.i;
    const open = ++this.i;
    this.tok('op', start);
    let text = '';
    for (this.i++; !this.end() && this.s[this.i] !== '"'; this.i++) {
      if (this.s[this.i] === '\\' && this.i + 1 < this.s.length) {
        if (this.s[this.i + 1] !== '"') text += '\\';
        this.i++;
      }
      text += this.s[this.i];
    }
    if (this.end()) throw new Fail('quote', open);
    this.i++;
    if (!text) throw new Fail('value', open);
    if (isBroken(text)) throw new Fail('regex', open + 1);
    this.tok('str', open);
    return { t: 'regex', text, start, end: this.i };
  }
  fvalue(): Val {
    const c = this.s[this.i];
    const start = this.i;
    if (c === '~' && this.s[this.i + 1] === '"') return this.regex();
    if (c === undefined || c === ')') throw new Fail('value', this.i);
    if (c === '(') {
      this.i++;
      this.tok('op', start);
      this.ws();
      const v = this.vor();
      this.ws();
      if (this.s[this.i] !== ')') throw new Fail('open', start);
      this.i++;
      this.tok('op', this.i - 1);
      return v;
    }
    if (c === '[' || c === '{') return this.range();
    const op = /^(>=|<=|>|<)/.exec(this.s.slice(this.i, this.i + 2));
    if (op) {
      this.i += op[0].length;
      this.tok('op', start);
      const at = this.i;
      const text = this.bare();
      if (!NUMBER.test(text)) throw new Fail('number', at);
      this.tok('text', at);
      return { t: 'cmp', op: op[0], text, start, end: this.i };
    }
    return this.value();
  }
  value(): Val {
    if (this.s[this.i] === '"') return this.phrase();
    const start = this.i;
    const text = this.bare();
    if (!text) throw new Fail('value', start);
    this.tok('text', start);
    return { t: 'word', text, start, end: this.i };
  }
  range(): Val {
    const start = this.i;
    const incLo = this.s[this.i++] === '[';
    this.tok('op', start);
    const bound = (): string => {
      this.ws();
      const at = this.i;
      if (this.s[this.i] === '"') {
        const p = this.phrase();
        return p.t === 'phrase' ? p.text : '';
      }
      while (!this.end() && !isWs(this.s[this.i]) && this.s[this.i] !== ']' && this.s[this.i] !== '}') this.i++;
      if (this.i === at) throw new Fail('bound', at);
      this.tok('text', at);
      return this.s.slice(at, this.i);
    };
    const lo = bound();
    this.ws();
    if (!this.isWord('TO')) throw new Fail('to', this.i);
    this.word('TO');
    const hi = bound();
    this.ws();
    const close = this.s[this.i];
    if (close !== ']' && close !== '}') throw new Fail('range', start);
    this.i++;
    this.tok('op', this.i - 1);
    return { t: 'range', lo, hi, incLo, incHi: close === ']', start, end: this.i };
  }
  vor(): Val {
    const start = this.i;
    const c = [this.vand()];
    for (;;) {
      const back = this.i;
      this.ws();
      if (!this.isWord('OR')) {
        this.i = back;
        break;
      }
      this.word('OR');
      this.ws();
      c.push(this.vand());
    }
    return c.length === 1 ? (c[0] as Val) : { t: 'vor', c, start, end: this.i };
  }
  vand(): Val {
    const start = this.i;
    const c = [this.vterm()];
    for (;;) {
      const back = this.i;
      this.ws();
      if (this.end() || this.s[this.i] === ')' || this.isWord('OR')) {
        this.i = back;
        break;
      }
      if (this.word('AND')) this.ws();
      c.push(this.vterm());
    }
    return c.length === 1 ? (c[0] as Val) : { t: 'vand', c, start, end: this.i };
  }
  vterm(): Val {
    const start = this.i;
    if (++this.depth > MAX_DEPTH) throw new Fail('deep', this.i);
    let out: Val;
    if (this.s[this.i] === '-' && this.s[this.i + 1] !== undefined && !isWs(this.s[this.i + 1])) {
      this.i++;
      this.tok('op', start);
      out = { t: 'vnot', c: [this.vterm()], start, end: this.i };
    } else if (this.word('NOT')) {
      this.ws();
      out = { t: 'vnot', c: [this.vterm()], start, end: this.i };
    } else if (this.isWord('AND') || this.isWord('OR')) throw new Fail('operator', this.i);
    else out = this.fvalue();
    this.depth--;
    return out;
  }
  cidr(): Node {
    const start = this.i;
    this.i += 5;
    this.tok('op', start);
    this.ws();
    const part = (): string => {
      const at = this.i;
      while (!this.end() && !isWs(this.s[this.i]) && !',)'.includes(this.s[this.i] as string)) this.i++;
      if (this.i === at) throw new Fail('net', at);
      this.tok(at === start ? 'key' : 'text', at);
      return this.s.slice(at, this.i);
    };
    const key = part();
    const nets: string[] = [];
    for (;;) {
      this.ws();
      if (this.s[this.i] === ')' && nets.length) break;
      if (this.s[this.i] !== ',') throw new Fail('net', this.i);
      this.i++;
      this.ws();
      const at = this.i;
      const net = part();
      if (!isNet(net)) throw new Fail('net', at);
      nets.push(net);
    }
    this.i++;
    this.tok('op', this.i - 1);
    return { t: 'cidr', key, nets, start, end: this.i };
  }
}

function isNet(s: string): boolean {
  const m = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})(?:\/(\d{1,2}))?$/.exec(s);
  if (m) return [1, 2, 3, 4].every((i) => Number(m[i]) < 256) && Number(m[5] ?? 32) <= 32;
  const v6 = /^([0-9a-fA-F:.]+)(?:\/(\d{1,3}))?$/.exec(s);
  return !!v6 && (v6[1] as string).includes(':') && Number(v6[2] ?? 128) <= 128;
}

export function parseSearch(s: string): Parsed {
  const p = new Parser(s);
  try {
    return { ast: p.parse(), tokens: p.tokens, error: null };
  } catch (e) {
    if (e instanceof Fail) return { ast: null, tokens: p.tokens, error: { why: e.why, column: e.at + 1 } };
    throw e;
  }
}

/** A value as it has to stand in a query. */
export function quoteValue(v: string): string {
  if (v !== '' && /^[^\s()"\\:<>[\]{}*?+=&|!~^]+$/.test(v) && !v.startsWith('-')) return v;
  return '"' + v.replace(/[\\"]/g, '\\$&') + '"';
}

function plain(v: Val): string | null {
  if (v.t === 'phrase') return v.text;
  return v.t === 'word' && !/(^|[^\\])[*?]/.test(v.text) ? v.text.replace(/\\(.)/g, '$1') : null;
}

export interface Picked {
  include: string[];
  exclude: string[];
}

/** Values of `key` that the query's top-level conjunction asks for or excludes; what facets show as ticked. */
export function pickedValues(ast: Node | null, key: string): Picked {
  const out: Picked = { include: [], exclude: [] };
  for (const n of conjuncts(ast)) {
    const neg = n.t === 'not';
    const f = neg ? n.c[0] : n;
    if (f?.t !== 'field' || f.key !== key) continue;
    const vals = f.val.t === 'vor' ? f.val.c : [f.val];
    for (const v of vals) {
      const p = plain(v);
      if (p !== null) (neg ? out.exclude : out.include).push(p);
    }
  }
  return out;
}

export function conjuncts(ast: Node | null): Node[] {
  if (!ast) return [];
  return ast.t === 'and' ? ast.c.flatMap(conjuncts) : [ast];
}

/** The query with the include-set of `key` replaced; the rest of the text is kept as typed. */
export function setFacet(q: string, key: string, values: string[]): string {
  const { ast, error } = parseSearch(q);
  if (error) return q;
  const mine = conjuncts(ast).filter(
    (n) => n.t === 'field' && n.key === key && (n.val.t === 'vor' ? n.val.c : [n.val]).every((v) => plain(v) !== null),
  );
  const text = !values.length
    ? ''
    : values.length === 1
      ? `${key}:${quoteValue(values[0] as string)}`
      : `${key}:(${values.map(quoteValue).join(' OR ')})`;
  if (!mine.length) return addTerm(q, ast, text);
  let out = q;
  for (const n of [...mine].reverse()) {
    out = out.slice(0, n.start) + (n === mine[0] ? text : '') + out.slice(n.end);
  }
  return tidy(out);
}

/** Adds `term` with AND; brackets the query when it is an OR at the top. */
export function addTerm(q: string, ast: Node | null, term: string): string {
  if (!term) return q.trim();
  if (!q.trim() || q.trim() === '*') return term;
  return ast?.t === 'or' ? `(${q.trim()}) ${term}` : `${q.trim()} ${term}`;
}

/** Adds or removes one value of one key; `exclude` adds -key:value. */
export function toggleTerm(q: string, key: string, value: string, exclude = false): string {
  const { ast } = parseSearch(q);
  const term = `${exclude ? '-' : ''}${key}:${quoteValue(value)}`;
  const found = conjuncts(ast).find((n) => q.slice(n.start, n.end) === term);
  return found ? tidy(q.slice(0, found.start) + q.slice(found.end)) : addTerm(q, ast, term);
}

function tidy(q: string): string {
  return q
    .replace(/\s{2,}/g, ' ')
    .replace(/^\s*AND\s+|\s+AND\s*$/g, '')
    .trim();
}

/** The query with the page's scope added. */
export function scoped(q: string, scope: Record<string, string | undefined>): string {
  const { ast } = parseSearch(q);
  let out = q.trim();
  let top = ast;
  for (const [k, v] of Object.entries(scope)) {
    if (!v || pickedValues(ast, k).include.length) continue;
    out = addTerm(out, top, `${k}:${quoteValue(v)}`);
    top = null;
  }
  return out;
}

/** Plain words and phrases to highlight in messages. */
export function highlightWords(ast: Node | null): string[] {
  const out: string[] = [];
  const walk = (n: Node): void => {
    if (n.t === 'and' || n.t === 'or') n.c.forEach(walk);
    else if (n.t === 'free' || (n.t === 'field' && (n.key === '*' || n.key === 'message'))) {
      const v = n.t === 'free' ? n.val : n.val;
      if (v.t === 'phrase' && v.text) out.push(v.text);
      else if (v.t === 'word') out.push(...v.text.split(/[*?]+/).filter((w) => w.length > 1));
    }
  };
  if (ast) walk(ast);
  return out;
}

/** What the cursor stands in: a key being typed, or a value of a key. */
export interface CursorSpot {
  kind: 'key' | 'value';
  key: string;
  prefix: string;
  start: number;
  end: number;
}
export function spotAt(q: string, pos: number): CursorSpot {
  let start = pos;
  while (start > 0 && !/[\s()]/.test(q[start - 1] as string)) start--;
  let end = pos;
  while (end < q.length && !/[\s()]/.test(q[end] as string)) end++;
  const text = q.slice(start, pos);
  const neg = text.startsWith('-') ? 1 : 0;
  const m = /^(-?)((?:\\.|[^\s:"])+):(>=|<=|>|<)?("?)(.*)$/.exec(text);
  if (m) {
    const at = start + (m[1] as string).length + (m[2] as string).length + 1 + (m[3]?.length ?? 0);
    return { kind: 'value', key: m[2] as string, prefix: m[5] as string, start: at, end };
  }
  // inside key:( … ) the values of that key are asked for
  const open = /([^\s()":]+):\([^()]*$/.exec(q.slice(0, start));
  if (open)
    return {
      kind: 'value',
      key: (open[1] as string).replace(/^-/, ''),
      prefix: text.replace(/^-/, ''),
      start: start + neg,
      end,
    };
  return { kind: 'key', key: '', prefix: text.slice(neg), start: start + neg, end };
}
