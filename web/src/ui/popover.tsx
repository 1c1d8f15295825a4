// SPDX-License-Identifier: Apache-2.0
// A popup anchored to an element; on phones a sheet at the bottom. Closes on Esc and on a click elsewhere.
import type { ComponentChildren, VNode } from 'preact';
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import { t } from '../lib/i18n';
import { Icon } from './icon';

export function Popover({
  anchor,
  onClose,
  children,
  cls = '',
  label,
  role = 'dialog',
  align = 'left',
}: {
  anchor: HTMLElement | null;
  onClose: () => void;
  children: ComponentChildren;
  cls?: string;
  label: string;
  role?: 'dialog' | 'group';
  align?: 'left' | 'right';
}): VNode {
  const box = useRef<HTMLDivElement>(null);
  const [pos, setPos] = useState<{ left: number; top: number } | null>(null);
  useLayoutEffect(() => {
    const el = box.current;
    if (!el || !anchor) return;
    const a = anchor.getBoundingClientRect(),
      w = el.offsetWidth,
      h = el.offsetHeight;
    const left = align === 'right' ? a.right - w : a.left;
    const below = a.bottom + 4 + h <= innerHeight - 8 || a.top < h;
    setPos({ left: Math.max(8, Math.min(left, innerWidth - w - 8)), top: below ? a.bottom + 4 : a.top - h - 4 });
  }, [anchor]);
  useEffect(() => {
    const down = (e: PointerEvent): void => {
      const n = e.target as Node;
      if (!box.current?.contains(n) && !anchor?.contains(n)) onClose();
    };
    const key = (e: KeyboardEvent): void => {
      if (e.key !== 'Escape' || e.isComposing) return;
      e.preventDefault();
      e.stopPropagation();
      onClose();
      anchor?.focus();
    };
    document.addEventListener('pointerdown', down);
    document.addEventListener('keydown', key, true);
    return () => {
      document.removeEventListener('pointerdown', down);
      document.removeEventListener('keydown', key, true);
    };
  }, [anchor]);
  const style = pos
    ? { left: `${pos.left}px`, top: `${pos.top}px` }
    : { left: '0px', top: '0px', visibility: 'hidden' };
  return (
    <div ref={box} class={`pop popover ${cls}`} role={role} aria-label={label} style={style}>
      {children}
    </div>
  );
}

export interface Choice {
  value: string;
  label: ComponentChildren;
  end?: ComponentChildren;
  text?: string;
}

/** A button that opens a list of choices, with a filter field when there are many. */
export function Select({
  k,
  value,
  shown,
  choices,
  onPick,
  label,
  onOpen,
  cls = '',
  onFilter,
  id,
}: {
  k?: string;
  value: string;
  shown?: ComponentChildren;
  choices: Choice[];
  onPick: (v: string) => void;
  label: string;
  onOpen?: () => void;
  cls?: string;
  onFilter?: (text: string) => void;
  id?: string;
}): VNode {
  const btn = useRef<HTMLButtonElement>(null);
  const [open, setOpen] = useState(false);
  const [at, setAt] = useState(0);
  const [filter, setFilter] = useState('');
  const list = useRef<HTMLDivElement>(null);
  const withFilter = !!onFilter || choices.length > 9;
  const shownChoices = filter
    ? choices.filter((c) => (c.text ?? c.value).toLowerCase().includes(filter.toLowerCase()))
    : choices;
  const openIt = (): void => {
    onOpen?.();
    setFilter('');
    onFilter?.('');
    setAt(
      Math.max(
        0,
        choices.findIndex((c) => c.value === value),
      ),
    );
    setOpen(true);
  };
  useEffect(() => {
    if (open) (list.current?.querySelector<HTMLElement>('input') ?? list.current)?.focus();
  }, [open]);
  const pick = (v: string): void => {
    setOpen(false);
    btn.current?.focus();
    onPick(v);
  };
  const key = (e: KeyboardEvent): void => {
    if (e.isComposing) return;
    const n = shownChoices.length;
    const step: Record<string, number> = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: n - 1 };
    if (e.key in step && !(withFilter && (e.key === 'Home' || e.key === 'End'))) {
      e.preventDefault();
      setAt(Math.max(0, Math.min(n - 1, step[e.key] as number)));
    } else if (e.key === 'Enter' || (e.key === ' ' && !withFilter)) {
      e.preventDefault();
      const c = shownChoices[at];
      if (c) pick(c.value);
    } else if (e.key === 'Tab') setOpen(false);
  };
  useEffect(() => {
    list.current?.querySelector('[aria-selected=true]')?.scrollIntoView({ block: 'nearest' });
  }, [at, open]);
  const current = choices.find((c) => c.value === value);
  return (
    <>
      <button
        ref={btn}
        id={id}
        type="button"
        class={`select ${cls}`}
        aria-haspopup="listbox"
        aria-expanded={open}
        aria-label={`${label}: ${current?.text ?? value}`}
        onClick={() => (open ? setOpen(false) : openIt())}
        onKeyDown={(e) => {
          if (e.key === 'ArrowDown' && !open) {
            e.preventDefault();
            openIt();
          }
        }}
      >
        {k ? <span class="k">{k}</span> : null}
        <span class="v">{shown ?? current?.label ?? value}</span>
        <Icon n="down" cls="s12" />
      </button>
      {open ? (
        <Popover anchor={btn.current} onClose={() => setOpen(false)} label={label} cls="choices" role="group">
          <div ref={list} tabIndex={withFilter ? undefined : 0} onKeyDown={key} class="choice-box">
            {withFilter ? (
              <div class="inputwrap find">
                <Icon n="search" cls="s14" />
                <input
                  class="input sm"
                  aria-label={t('find')}
                  placeholder={t('find')}
                  value={filter}
                  onInput={(e) => {
                    setFilter(e.currentTarget.value);
                    onFilter?.(e.currentTarget.value);
                    setAt(0);
                  }}
                />
              </div>
            ) : null}
            <div role="listbox" aria-label={label} class="choice-list">
              {shownChoices.map((c, i) => (
                <div
                  key={c.value}
                  class="opt"
                  role="option"
                  aria-selected={i === at}
                  onPointerMove={() => setAt(i)}
                  onClick={() => pick(c.value)}
                >
                  {c.value === value ? <Icon n="check" cls="s14" /> : <span class="s14" />}
                  <span class="cut">{c.label}</span>
                  {c.end ? <span class="end t3 fs12">{c.end}</span> : null}
                </div>
              ))}
              {shownChoices.length === 0 ? <div class="opt t3">{t('none_found')}</div> : null}
            </div>
          </div>
        </Popover>
      ) : null}
    </>
  );
}
