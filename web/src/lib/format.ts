// SPDX-License-Identifier: Apache-2.0
// Numbers as the page shows them: three digits, unit apart, grouping by Intl.

let nf = new Intl.NumberFormat('en-US', { maximumFractionDigits: 2 });
let japanese = false;
export function setNumberLocale(lang: string): void {
  japanese = lang === 'ja';
  nf = new Intl.NumberFormat(lang === 'ja' ? 'ja-JP' : 'en-US', { maximumFractionDigits: 2 });
}

/** Three significant digits without exponent. */
export function sig3(n: number): string {
  const a = Math.abs(n);
  if (a === 0) return '0';
  if (a >= 100) return nf.format(Math.round(n));
  if (a >= 10) return n.toFixed(1);
  if (a >= 1) return n.toFixed(2);
  const d = Math.min(8, 2 - Math.floor(Math.log10(a)));
  return n
    .toFixed(d)
    .replace(/(\.\d*?)0+$/, '$1')
    .replace(/\.$/, '');
}

export interface Parts {
  v: string;
  u: string;
}

/** A duration in nanoseconds: 4.81 s, 655 ms, 12 µs. */
export function durParts(ns: number): Parts {
  const a = Math.abs(ns);
  if (a === 0) return { v: '0', u: 'ms' };
  if (a < 1e3) return { v: String(Math.round(ns)), u: 'ns' };
  if (a < 999.5e3) return { v: short(ns / 1e3), u: 'µs' };
  if (a < 999.5e6) return { v: short(ns / 1e6), u: 'ms' };
  if (a < 120e9) return { v: ns >= 10e9 ? (ns / 1e9).toFixed(1) : (ns / 1e9).toFixed(2), u: 's' };
  if (a < 2 * 3600e9) return { v: short(ns / 60e9), u: 'min' };
  return { v: short(ns / 3600e9), u: 'h' };
}
function short(x: number): string {
  return Math.abs(x) >= 10 ? String(Math.round(x)) : x.toFixed(1);
}
export function fmtDur(ns: number | null | undefined): string {
  if (ns === null || ns === undefined || !Number.isFinite(ns)) return '–';
  const p = durParts(ns);
  return `${p.v} ${p.u}`;
}

/** Counts: 9,120 whole below ten thousand, then 18.4 k, 41.2 M. */
export function countParts(n: number): Parts {
  const a = Math.abs(n);
  if (a < 1e4) return { v: nf.format(Math.round(n)), u: '' };
  if (a < 1e6) return { v: a < 1e5 ? (n / 1e3).toFixed(1) : String(Math.round(n / 1e3)), u: 'k' };
  if (a < 1e9) return { v: a < 1e8 ? (n / 1e6).toFixed(1) : String(Math.round(n / 1e6)), u: 'M' };
  return { v: (n / 1e9).toFixed(1), u: 'G' };
}
export function fmtCount(n: number): string {
  const p = countParts(n);
  return p.u ? `${p.v} ${p.u}` : p.v;
}
/** Grouped in full: 18,440 */
export function fmtInt(n: number): string {
  return nf.format(Math.round(n));
}

/** Events per second. */
export function fmtRate(perSec: number): string {
  if (perSec === 0) return '0';
  return perSec >= 1000 ? fmtCount(perSec) : sig3(perSec);
}

/** A metric's value: three digits, k/M/G above ten thousand. */
export function fmtValue(n: number | null | undefined): string {
  if (n === null || n === undefined || !Number.isFinite(n)) return '–';
  return Math.abs(n) >= 1e4 ? fmtCount(n) : sig3(n);
}

export function fmtBytes(n: number): string {
  const u = ['B', 'kB', 'MB', 'GB', 'TB'];
  let i = 0;
  while (n >= 1000 && i < u.length - 1) {
    n /= 1000;
    i++;
  }
  return `${i ? sig3(n) : Math.round(n)} ${u[i]}`;
}

/** A share 0…1 as percent digits: 0.08, 1.9, 54 */
export function pctDigits(x: number): string {
  const p = x * 100;
  if (p === 0) return '0';
  if (p >= 10) return String(Math.round(p));
  if (p >= 1) return p.toFixed(1);
  return p < 0.005 ? '<0.01' : p.toFixed(2);
}
export function fmtPct(x: number): string {
  return `${pctDigits(x)} %`;
}

/** Change against an earlier value: ×3.1 from half more on, else +12 %, −6 %. Null when there is nothing to compare. */
export function fmtDelta(
  now: number | null | undefined,
  before: number | null | undefined,
): { text: string; ratio: number } | null {
  if (now === null || now === undefined || !before || !Number.isFinite(now)) return null;
  const r = now / before;
  if (r >= 1.5) return { text: `×${r >= 10 ? Math.round(r) : r.toFixed(1)}`, ratio: r };
  const p = Math.round((r - 1) * 100);
  return { text: `${p > 0 ? '+' : p < 0 ? '−' : '±'}${Math.abs(p)} %`, ratio: r };
}

/** Age of a moment in short words: 12 s, 4 min, 3 h, 2 d; in Japanese 12秒, 4分, 3時間, 2日. */
export function fmtAge(ms: number): string {
  const s = Math.max(0, ms / 1000);
  const [n, en, ja] =
    s < 60
      ? [s, 's', '秒']
      : s < 3600
        ? [s / 60, 'min', '分']
        : s < 86400
          ? [s / 3600, 'h', '時間']
          : [s / 86400, 'd', '日'];
  return japanese ? `${Math.round(n as number)}${ja}` : `${Math.round(n as number)} ${en}`;
}
