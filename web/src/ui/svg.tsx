// SPDX-License-Identifier: Apache-2.0
// Small own charts: sparkline, state strip, stacked status bars with drag and keyboard zoom.
import type { VNode } from 'preact';
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import { fmtInt } from '../lib/format';
import { t } from '../lib/i18n';
import { fmtClock, fmtDay, fmtFull, sameDay, zoneOffset } from '../lib/time';

export function useWidth<T extends HTMLElement>(): [preact.RefObject<T>, number] {
  const ref = useRef<T>(null);
  const [w, setW] = useState(0);
  useLayoutEffect(() => {
    const el = ref.current;
    if (!el) return undefined;
    const measure = (): void => setW(Math.floor(el.clientWidth));
    measure();
    const ro = new ResizeObserver(measure);
    ro.observe(el);
    return () => ro.disconnect();
  }, []);
  return [ref, w];
}

/** A line without axes; null is a gap. Height 20 in rows, colour by meaning only. */
export function Spark({
  d,
  w = 96,
  h = 20,
  c = 'var(--text-3)',
  fluid,
}: {
  d: (number | null)[];
  w?: number;
  h?: number;
  c?: string;
  fluid?: boolean;
}): VNode {
  const real = d.filter((x): x is number => x !== null);
  const max = Math.max(...real, 0) * 1.15 || 1,
    n = Math.max(1, d.length - 1);
  const segs: string[][] = [[]];
  d.forEach((y, i) => {
    if (y === null) segs.push([]);
    else
      (segs[segs.length - 1] as string[]).push(
        `${((i / n) * w).toFixed(1)},${(h - 1 - (y / max) * (h - 3)).toFixed(1)}`,
      );
  });
  return (
    <svg
      class="spark"
      width={fluid ? '100%' : w}
      height={h}
      viewBox={`0 0 ${w} ${h}`}
      preserveAspectRatio="none"
      aria-hidden="true"
    >
      {segs
        .filter((s) => s.length)
        .map((s, i) => {
          const x0 = (s[0] as string).split(',')[0],
            x1 = (s[s.length - 1] as string).split(',')[0];
          return (
            <g key={i}>
              <polygon points={`${x0},${h} ${s.join(' ')} ${x1},${h}`} fill={c} opacity=".12" />
              <polyline
                points={s.length > 1 ? s.join(' ') : `${s[0]} ${Number(x0) + 2},${(s[0] as string).split(',')[1]}`}
                fill="none"
                stroke={c}
                stroke-width="1.25"
                vector-effect="non-scaling-stroke"
              />
            </g>
          );
        })}
    </svg>
  );
}

/** Labels for a time axis: at most six, thinned by width, the day when it changes. */
export function timeTicks(from: number, to: number, width: number): { at: number; label: string }[] {
  const steps = [
    1e3, 5e3, 15e3, 3e4, 6e4, 12e4, 3e5, 6e5, 9e5, 18e5, 36e5, 72e5, 108e5, 216e5, 432e5, 864e5, 1728e5, 6048e5,
  ];
  const max = Math.max(2, Math.min(6, Math.floor(width / 96)));
  const step = steps.find((s) => (to - from) / s <= max) ?? 6048e5;
  const out: { at: number; label: string }[] = [];
  const off = zoneOffset(from);
  for (let x = Math.ceil((from + off) / step) * step - off; x <= to; x += step) {
    const prev = out[out.length - 1];
    const day = step >= 864e5 || (prev && !sameDay(prev.at, x));
    out.push({ at: x, label: day ? fmtDay(x) : fmtClock(x, step < 6e4 ? 's' : 'min') });
  }
  return out;
}

export function niceTicks(max: number, n = 3): number[] {
  if (max <= 0) return [0];
  const raw = max / n,
    p = 10 ** Math.floor(Math.log10(raw)),
    f = raw / p;
  const step = Math.max((f <= 1 ? 1 : f <= 2 ? 2 : f <= 2.5 ? 2.5 : f <= 5 ? 5 : 10) * p, 1e-12);
  const out: number[] = [];
  for (let y = 0; y <= max + step * 1e-9; y += step) out.push(y);
  return out;
}

export interface BarSeries {
  key: string;
  label: string;
  fill: string;
  values: number[];
}

/** Stacked bars over time; first series lies on the baseline so that few errors compare from bar to bar. */
export function Bars({
  from,
  step,
  series,
  h = 108,
  partialFrom,
  onZoom,
  label,
  fmt = fmtInt,
}: {
  from: number;
  step: number;
  series: BarSeries[];
  h?: number;
  partialFrom?: number;
  onZoom?: (a: number, b: number) => void;
  label: string;
  fmt?: (n: number) => string;
}): VNode {
  const [box, w] = useWidth<HTMLElement>();
  const [cur, setCur] = useState<number | null>(null);
  const [drag, setDrag] = useState<[number, number] | null>(null);
  const [table, setTable] = useState(false);
  const n = Math.max(0, ...series.map((s) => s.values.length));
  const totals = Array.from({ length: n }, (_, i) => series.reduce((a, s) => a + (s.values[i] ?? 0), 0));
  const max = Math.max(1, ...totals) * 1.08;
  const ticks = niceTicks(max, 3).filter((y) => Number.isInteger(y) || max < 3);
  const l = Math.max(28, ...ticks.map((y) => fmt(y).length * 6.5 + 10)),
    r = 4,
    top = 8,
    b = 20;
  const bw = n ? (w - l - r) / n : 0;
  const Yp = (y: number): number => top + (1 - y / max) * (h - top - b);
  const to = from + n * step;
  const X = (ms: number): number => l + ((ms - from) / (to - from)) * (w - l - r);
  const at = (e: PointerEvent): number => {
    const x = e.clientX - (box.current as HTMLElement).getBoundingClientRect().left;
    return Math.max(0, Math.min(n - 1, Math.floor((x - l) / bw)));
  };
  const zoom = (a: number, z: number): void =>
    onZoom?.(from + Math.min(a, z) * step, from + (Math.max(a, z) + 1) * step);
  const key = (e: KeyboardEvent): void => {
    const d = ({ ArrowLeft: -1, ArrowRight: 1 } as Record<string, number>)[e.key];
    if (d) {
      e.preventDefault();
      setCur((c) => Math.max(0, Math.min(n - 1, (c ?? n - 1) + d * (e.shiftKey ? 10 : 1))));
    } else if (e.key === 'Enter' && cur !== null) {
      e.preventDefault();
      zoom(cur, cur);
    } else if (e.key === 't' || e.key === 'T') {
      e.preventDefault();
      e.stopPropagation();
      setTable((x) => !x);
    } else if (e.key === 'Escape' && cur !== null) {
      e.preventDefault();
      setCur(null);
    }
  };
  const spoken =
    cur === null
      ? ''
      : `${fmtClock(from + cur * step, 's')}, ${series.map((s) => `${s.label} ${fmt(s.values[cur] ?? 0)}`).join(', ')}`;
  return (
    <figure
      class="chart bars"
      ref={box}
      tabIndex={0}
      role="group"
      aria-label={`${label}. ${t('chart.keys')}`}
      onKeyDown={key}
      style={{ minHeight: `${h}px` }}
      onPointerDown={(e) => {
        if (e.button === 0 && onZoom) {
          const i = at(e);
          setDrag([i, i]);
          e.currentTarget.setPointerCapture(e.pointerId);
        }
      }}
      onPointerMove={(e) => {
        const i = at(e);
        setCur(i);
        if (drag) setDrag([drag[0], i]);
      }}
      onPointerUp={() => {
        if (drag && drag[0] !== drag[1]) zoom(drag[0], drag[1]);
        setDrag(null);
      }}
      onPointerLeave={() => {
        if (!drag) setCur(null);
      }}
      onBlur={() => setCur(null)}
    >
      {w > 0 ? (
        <svg width={w} height={h} viewBox={`0 0 ${w} ${h}`} role="img" aria-label={label}>
          <defs>
            <pattern id="hw" width="4" height="4" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">
              <rect width="4" height="4" fill="var(--bg)" />
              <rect width="2.4" height="4" fill="var(--warn)" />
            </pattern>
            <pattern id="hp" width="5" height="5" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">
              <rect width="5" height="5" fill="var(--bg)" />
              <rect width="2" height="5" fill="var(--bar)" />
            </pattern>
          </defs>
          {ticks.map((y) => (
            <g key={y}>
              <line x1={l} x2={w - r} y1={Yp(y)} y2={Yp(y)} stroke="var(--grid)" />
              <text x={l - 6} y={Yp(y) + 4} text-anchor="end">
                {fmt(y)}
              </text>
            </g>
          ))}
          {drag ? (
            <rect
              x={l + Math.min(...drag) * bw}
              y={top}
              width={(Math.abs(drag[1] - drag[0]) + 1) * bw}
              height={h - top - b}
              fill="var(--selected)"
            />
          ) : cur !== null ? (
            <rect x={l + cur * bw} y={top} width={bw} height={h - top - b} fill="var(--hover)" />
          ) : null}
          {Array.from({ length: n }, (_, i) => {
            let y0 = 0;
            return series.map((s) => {
              const v = s.values[i] ?? 0;
              if (!v) return null;
              const yTop = Yp(y0 + v),
                yBot = Yp(y0);
              y0 += v;
              const partial = partialFrom !== undefined && i >= partialFrom && s.fill === 'var(--bar)';
              return (
                <rect
                  key={`${i}${s.key}`}
                  x={l + i * bw + 0.5}
                  y={yTop}
                  width={Math.max(1, bw - 1)}
                  height={Math.max(1, yBot - yTop)}
                  fill={partial ? 'url(#hp)' : s.fill}
                />
              );
            });
          })}
          <line x1={l} x2={w - r} y1={Yp(0)} y2={Yp(0)} stroke="var(--border)" />
          {timeTicks(from, to, w - l).map((x) => {
            const px = X(x.at);
            return px > w - 20 ? null : (
              <text key={x.at} x={px} y={h - 5} text-anchor={px < l + 16 ? 'start' : 'middle'}>
                {x.label}
              </text>
            );
          })}
        </svg>
      ) : null}
      {cur !== null && n > 0 && !drag ? (
        <div class="hovercard" style={{ left: `${Math.max(0, Math.min(w - 180, l + cur * bw + 12))}px`, top: '4px' }}>
          <div class="t3">
            {fmtClock(from + cur * step, 's')}–{fmtClock(from + (cur + 1) * step, 's')}
          </div>
          {series.map((s) => (
            <div class="r" key={s.key}>
              <i
                class={`sw ${s.fill.startsWith('url') ? 'sw-warn' : ''}`}
                style={s.fill.startsWith('url') ? {} : { background: s.fill }}
              />
              {s.label}
              <b>{fmt(s.values[cur] ?? 0)}</b>
            </div>
          ))}
        </div>
      ) : null}
      <span class="sr" aria-live="polite">
        {spoken}
      </span>
      {table ? (
        <ChartTable
          head={series.map((s) => s.label)}
          rows={totals.map((_, i) => [from + i * step, ...series.map((s) => s.values[i] ?? 0)])}
          fmt={fmt}
        />
      ) : null}
    </figure>
  );
}

/** The same data as a table, for those who cannot read the drawing. */
export function ChartTable({
  head,
  rows,
  fmt,
}: {
  head: string[];
  rows: (number | null)[][];
  fmt: (n: number) => string;
}): VNode {
  const ref = useRef<HTMLDivElement>(null);
  useEffect(() => ref.current?.scrollIntoView({ block: 'nearest' }), []);
  return (
    <div class="chart-table scroll" tabIndex={0} ref={ref}>
      <table class="tbl compact">
        <thead>
          <tr>
            <th scope="col">{t('time')}</th>
            {head.map((x) => (
              <th scope="col" class="num" key={x}>
                {x}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.slice(-200).map((r) => (
            <tr key={r[0]}>
              <td>{fmtFull(r[0] as number, 's')}</td>
              {r.slice(1).map((v, i) => (
                <td class="num" key={i}>
                  {v === null || v === undefined ? '–' : fmt(v)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
