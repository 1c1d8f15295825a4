// SPDX-License-Identifier: Apache-2.0
// The whole trace in 56 pixels: one pixel row per slice of spans, critical path on the bottom line, a window that can be dragged.
import type { VNode } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { t } from '../../lib/i18n';
import { fmtDur } from '../../lib/format';
import { useWidth } from '../../ui/svg';
import type { Loaded } from './index';

const H = 56;

function paint(canvas: HTMLCanvasElement, l: Loaded, w: number): void {
  const px = devicePixelRatio || 1;
  canvas.width = w * px;
  canvas.height = H * px;
  const c = canvas.getContext('2d');
  if (!c) return;
  const style = getComputedStyle(document.documentElement);
  const color = (v: string): string => style.getPropertyValue(v).trim();
  const palette = [color('--cat-other'), ...[1, 2, 3, 4, 5, 6, 7, 8].map((i) => color(`--cat-${i}`))];
  const { block: b, a, slots } = l;
  const svc = b.tail.services.map((s) => palette[slots.get(s.name) ?? 0] as string);
  c.scale(px, px);
  c.clearRect(0, 0, w, H);
  const X = (ns: number): number => (ns / a.total) * w;
  c.fillStyle = color('--hatch');
  for (const g of a.gaps.values()) {
    if (g.kind !== 'init' && (g.to - g.from) / a.total < 0.1) continue;
    const x0 = X(g.from),
      x1 = X(g.to);
    c.save();
    c.globalAlpha = 0.35;
    c.beginPath();
    c.rect(x0, 5, x1 - x0, 40);
    c.clip();
    c.lineWidth = 1;
    c.strokeStyle = color('--hatch');
    c.beginPath();
    for (let x = x0 - 44; x < x1 + 44; x += 6) {
      c.moveTo(x, 46);
      c.lineTo(x + 42, 4);
    }
    c.stroke();
    c.restore();
  }
  const rowH = Math.max(0.5, Math.min(3, 40 / b.n));
  const step = Math.max(1, Math.floor(b.n / 20000));
  for (let i = 0; i < b.n; i += step) {
    const y = 5 + (i / Math.max(1, b.n)) * 40;
    c.fillStyle = svc[b.service[i] as number] ?? (palette[0] as string);
    c.fillRect(X(b.startOff[i] as number), y, Math.max(1, X(b.dur[i] as number)), Math.max(1, rowH));
  }
  c.fillStyle = color('--text');
  for (const list of a.critical.values()) for (const [x, y] of list) c.fillRect(X(x), 50, Math.max(0.5, X(y - x)), 2);
}

export function Minimap({
  l,
  win,
  onWin,
}: {
  l: Loaded;
  win: [number, number];
  onWin: (w: [number, number] | null) => void;
}): VNode {
  const [box, w] = useWidth<HTMLElement>();
  const canvas = useRef<HTMLCanvasElement>(null);
  const [theme, setTheme] = useState(document.documentElement.dataset.theme);
  const drag = useRef<{ kind: 'lo' | 'hi' | 'move' | 'new'; at: number; win: [number, number] } | null>(null);
  const total = l.a.total,
    inner = Math.max(1, w - 24);
  useEffect(() => {
    const mo = new MutationObserver(() => setTheme(document.documentElement.dataset.theme));
    mo.observe(document.documentElement, { attributes: true, attributeFilter: ['data-theme'] });
    return () => mo.disconnect();
  }, []);
  useEffect(() => {
    if (canvas.current && w > 24) paint(canvas.current, l, inner);
  }, [l, w, theme]);
  const ns = (e: PointerEvent): number => {
    const r = (box.current as HTMLElement).getBoundingClientRect();
    return Math.max(0, Math.min(total, ((e.clientX - r.left - 12) / inner) * total));
  };
  const whole = win[0] <= 0 && win[1] >= total;
  const down = (e: PointerEvent): void => {
    if (e.button !== 0) return;
    const at = ns(e),
      grab = (8 / inner) * total;
    const kind =
      Math.abs(at - win[0]) < grab
        ? 'lo'
        : Math.abs(at - win[1]) < grab
          ? 'hi'
          : !whole && at > win[0] && at < win[1]
            ? 'move'
            : 'new';
    drag.current = { kind, at, win };
    (e.currentTarget as HTMLElement).setPointerCapture(e.pointerId);
  };
  const move = (e: PointerEvent): void => {
    const d = drag.current;
    if (!d) return;
    const at = ns(e),
      least = total / 1000;
    if (d.kind === 'lo') onWin([Math.min(at, d.win[1] - least), d.win[1]]);
    else if (d.kind === 'hi') onWin([d.win[0], Math.max(at, d.win[0] + least)]);
    else if (d.kind === 'move') {
      const by = Math.max(-d.win[0], Math.min(total - d.win[1], at - d.at));
      onWin([d.win[0] + by, d.win[1] + by]);
    } else if (Math.abs(at - d.at) > least * 4) onWin([Math.min(at, d.at), Math.max(at, d.at)]);
  };
  const key = (e: KeyboardEvent): void => {
    const step = (win[1] - win[0]) / 10,
      sign = e.key === 'ArrowLeft' ? -1 : e.key === 'ArrowRight' ? 1 : 0;
    if (!sign) return;
    e.preventDefault();
    e.stopPropagation();
    if (e.shiftKey) onWin([win[0], Math.max(win[0] + total / 1000, Math.min(total, win[1] + sign * step))]);
    else {
      const by = Math.max(-win[0], Math.min(total - win[1], sign * step));
      onWin([win[0] + by, win[1] + by]);
    }
  };
  const a = 12 + (win[0] / total) * inner,
    b = 12 + (win[1] / total) * inner;
  return (
    <figure
      ref={box}
      class="minimap"
      tabIndex={0}
      role="slider"
      aria-label={t('trace.minimap')}
      aria-valuemin={0}
      aria-valuemax={Math.round(total / 1e6)}
      aria-valuenow={Math.round(win[0] / 1e6)}
      aria-valuetext={`${fmtDur(win[0])}–${fmtDur(win[1])}`}
      onPointerDown={down}
      onPointerMove={move}
      onPointerUp={() => {
        drag.current = null;
      }}
      onDblClick={() => onWin(null)}
      onKeyDown={key}
    >
      <canvas ref={canvas} style={{ width: `${inner}px`, height: `${H}px` }} aria-hidden="true" />
      {!whole ? (
        <>
          <i class="shade" style={{ left: '12px', width: `${Math.max(0, a - 12)}px` }} />
          <i class="shade" style={{ left: `${b}px`, width: `${Math.max(0, 12 + inner - b)}px` }} />
        </>
      ) : null}
      <i class="window" style={{ left: `${a}px`, width: `${Math.max(2, b - a)}px` }} />
      <i class="grip" style={{ left: `${a - 3}px` }} />
      <i class="grip" style={{ left: `${b - 4}px` }} />
    </figure>
  );
}
