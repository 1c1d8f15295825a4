// SPDX-License-Identifier: Apache-2.0
// Heat map time × log duration; a box (drag, or Shift+arrows) narrows time and duration.
import type { VNode } from 'preact';
import { useState } from 'preact/hooks';
import type { Heat } from '../lib/api';
import { fmtDur, fmtInt } from '../lib/format';
import { t } from '../lib/i18n';
import { fmtClock } from '../lib/time';
import { timeTicks, useWidth } from './svg';

export interface Box {
  c0: number;
  c1: number;
  r0: number;
  r1: number;
}

function level(n: number, max: number): number {
  return Math.min(7, 1 + Math.floor((Math.log(n) / Math.log(Math.max(2, max))) * 6.6));
}

export function HeatMap({
  heat,
  h = 148,
  onBox,
  label,
}: {
  heat: Heat;
  h?: number;
  onBox: (from: number, to: number, lo: number, hi: number) => void;
  label: string;
}): VNode {
  const [ref, w] = useWidth<HTMLElement>();
  const [box, setBox] = useState<Box | null>(null);
  const [drag, setDrag] = useState(false);
  const [hover, setHover] = useState<{ c: number; r: number } | null>(null);
  const rows = heat.edges_ns.length - 1,
    cols = heat.cols;
  const l = 48,
    r = 4,
    top = 6,
    b = 20;
  const cw = (w - l - r) / Math.max(1, cols),
    ch = (h - top - b) / Math.max(1, rows);
  const max = Math.max(1, ...heat.counts);
  const cell = (e: PointerEvent): { c: number; r: number } => {
    const q = (ref.current as HTMLElement).getBoundingClientRect();
    const c = Math.floor((e.clientX - q.left - l) / cw),
      row = rows - 1 - Math.floor((e.clientY - q.top - top) / ch);
    return { c: Math.max(0, Math.min(cols - 1, c)), r: Math.max(0, Math.min(rows - 1, row)) };
  };
  const norm = (x: Box): Box => ({
    c0: Math.min(x.c0, x.c1),
    c1: Math.max(x.c0, x.c1),
    r0: Math.min(x.r0, x.r1),
    r1: Math.max(x.r0, x.r1),
  });
  const apply = (x: Box): void => {
    const k = norm(x);
    const lo = k.r0 === 0 ? 0 : (heat.edges_ns[k.r0] as number),
      hi = k.r1 === rows - 1 ? 0 : (heat.edges_ns[k.r1 + 1] as number);
    onBox(heat.start_ms + k.c0 * heat.step_ms, heat.start_ms + (k.c1 + 1) * heat.step_ms, lo, hi);
  };
  const key = (e: KeyboardEvent): void => {
    const d: Record<string, [number, number]> = {
      ArrowLeft: [-1, 0],
      ArrowRight: [1, 0],
      ArrowUp: [0, 1],
      ArrowDown: [0, -1],
    };
    const m = d[e.key];
    if (m) {
      e.preventDefault();
      setBox((x) => {
        const y = x ?? { c0: cols - 1, c1: cols - 1, r0: Math.floor(rows / 2), r1: Math.floor(rows / 2) };
        if (!x) return y;
        const c1 = Math.max(0, Math.min(cols - 1, y.c1 + m[0])),
          r1 = Math.max(0, Math.min(rows - 1, y.r1 + m[1]));
        return e.shiftKey ? { ...y, c1, r1 } : { c0: c1, c1, r0: r1, r1 };
      });
    } else if (e.key === 'Enter' && box) {
      e.preventDefault();
      apply(box);
    } else if (e.key === 'Escape' && box) {
      e.preventDefault();
      setBox(null);
    }
  };
  const k = box ? norm(box) : null;
  const to = heat.start_ms + cols * heat.step_ms;
  const every = Math.max(1, Math.ceil(14 / ch));
  const inBox = k
    ? heat.counts.reduce((n, v, i) => {
        const row = Math.floor(i / cols),
          c = i % cols;
        return n + (row >= k.r0 && row <= k.r1 && c >= k.c0 && c <= k.c1 ? v : 0);
      }, 0)
    : 0;
  return (
    <figure
      class="chart heatmap"
      ref={ref}
      tabIndex={0}
      role="group"
      aria-label={`${label}. ${t('heat.keys')}`}
      onKeyDown={key}
      style={{ minHeight: `${h}px` }}
      onPointerDown={(e) => {
        if (e.button !== 0) return;
        const q = cell(e);
        setBox({ c0: q.c, c1: q.c, r0: q.r, r1: q.r });
        setDrag(true);
        e.currentTarget.setPointerCapture(e.pointerId);
      }}
      onPointerMove={(e) => {
        const q = cell(e);
        setHover(q);
        if (drag) setBox((x) => x && { ...x, c1: q.c, r1: q.r });
      }}
      onPointerUp={() => {
        setDrag(false);
        if (box && drag) {
          if (box.c0 !== box.c1 || box.r0 !== box.r1) apply(box);
          setBox(null);
        }
      }}
      onPointerLeave={() => setHover(null)}
      onBlur={() => setBox(null)}
    >
      {w > 0 ? (
        <svg width={w} height={h} viewBox={`0 0 ${w} ${h}`} role="img" aria-label={label}>
          {heat.edges_ns.map((e, i) =>
            i % every || i > rows ? null : (
              <text key={i} x={l - 6} y={Math.max(top + 8, h - b - i * ch + (i ? 4 : 0))} text-anchor="end">
                {fmtDur(e).replace(/\.0+ /, ' ')}
              </text>
            ),
          )}
          {heat.counts.map((v, i) => {
            if (!v) return null;
            const row = Math.floor(i / cols),
              c = i % cols;
            return (
              <rect
                key={i}
                x={l + c * cw}
                y={h - b - (row + 1) * ch}
                width={Math.max(1, cw - 1)}
                height={Math.max(1, ch - 1)}
                fill={`var(--heat-${level(v, max)})`}
              />
            );
          })}
          <line x1={l} x2={w - r} y1={h - b} y2={h - b} stroke="var(--border)" />
          {timeTicks(heat.start_ms, to, w - l).map((x) => {
            const px = l + ((x.at - heat.start_ms) / (to - heat.start_ms)) * (w - l - r);
            return px > w - 20 ? null : (
              <text key={x.at} x={px} y={h - 5} text-anchor={px < l + 16 ? 'start' : 'middle'}>
                {x.label}
              </text>
            );
          })}
          {k ? (
            <rect
              x={l + k.c0 * cw - 1}
              y={h - b - (k.r1 + 1) * ch - 1}
              width={(k.c1 - k.c0 + 1) * cw + 1}
              height={(k.r1 - k.r0 + 1) * ch + 1}
              fill="none"
              stroke="var(--focus)"
              stroke-width="2"
            />
          ) : null}
        </svg>
      ) : null}
      {hover && !drag && !box && heat.counts[hover.r * cols + hover.c] ? (
        <div
          class="hovercard"
          style={{ left: `${Math.max(0, Math.min(w - 180, l + hover.c * cw + 12))}px`, top: '4px' }}
        >
          <div class="t3">
            {fmtClock(heat.start_ms + hover.c * heat.step_ms, 's')} · {fmtDur(heat.edges_ns[hover.r])}–
            {fmtDur(heat.edges_ns[hover.r + 1])}
          </div>
          <div class="r">
            {t('traces')}
            <b>{fmtInt(heat.counts[hover.r * cols + hover.c] as number)}</b>
          </div>
          {heat.errors?.[hover.r * cols + hover.c] ? (
            <div class="r c-error">
              {t('with_errors')}
              <b>{fmtInt(heat.errors[hover.r * cols + hover.c] as number)}</b>
            </div>
          ) : null}
        </div>
      ) : null}
      <span class="sr" aria-live="polite">
        {k
          ? t('heat.said', {
              from: fmtClock(heat.start_ms + k.c0 * heat.step_ms),
              to: fmtClock(heat.start_ms + (k.c1 + 1) * heat.step_ms),
              lo: fmtDur(heat.edges_ns[k.r0]),
              hi: fmtDur(heat.edges_ns[k.r1 + 1]),
              n: inBox,
            })
          : ''}
      </span>
    </figure>
  );
}

export function HeatScale({ max }: { max: number }): VNode {
  return (
    <span class="legend">
      <span>
        <span class="t3">1</span>
        <span class="heatscale" aria-hidden="true">
          {[1, 2, 3, 4, 5, 6, 7].map((i) => (
            <i key={i} style={{ background: `var(--heat-${i})` }} />
          ))}
        </span>
        <span class="t3">{fmtInt(max)}</span>
      </span>
    </span>
  );
}
