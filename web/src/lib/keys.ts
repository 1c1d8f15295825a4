// SPDX-License-Identifier: Apache-2.0
// Keyboard: one table from which both the handler and the help sheet are made. Inactive in inputs and during composition.
import { useLayoutEffect, useRef } from 'preact/hooks';

export interface Binding {
  /** As on the key cap: `j`, `?`, `g t`, `⇧E`, `Enter`, `Esc`. */
  keys: string;
  /** i18n key of what it does; bindings without one are not listed. */
  label?: string;
  scope: 'go' | 'frame' | 'list' | 'trace' | 'chart';
  run: (e: KeyboardEvent) => void | boolean;
}

const layers: Binding[][] = [];
let pendingG = 0;

export function singleKeysOff(): boolean {
  try {
    return localStorage.getItem('yg.keys') === 'off';
  } catch {
    return false;
  }
}
export function setSingleKeys(on: boolean): void {
  try {
    if (on) localStorage.removeItem('yg.keys');
    else localStorage.setItem('yg.keys', 'off');
  } catch {
    /* private mode: lasts for this page only */
  }
}

/** Bindings in force now, innermost first. */
export function activeBindings(): Binding[] {
  return [...layers].reverse().flat();
}

/** Registers bindings while the component lives; later (inner) layers win. */
export function useKeys(bindings: Binding[]): void {
  const ref = useRef<Binding[]>([]);
  const layer = useRef<Binding[]>([]);
  ref.current = bindings;
  layer.current.length = 0;
  layer.current.push(...bindings);
  // Not after the paint: a key pressed as soon as the rows are seen must find its binding.
  useLayoutEffect(() => {
    const mine = layer.current;
    layers.push(mine);
    return () => void layers.splice(layers.indexOf(mine), 1);
  }, []);
}

function nameOf(e: KeyboardEvent): string {
  if (e.key === 'Escape') return 'Esc';
  if (e.shiftKey && /^[A-Za-z]$/.test(e.key)) return '⇧' + e.key.toUpperCase();
  if (e.shiftKey && e.key === 'Enter') return '⇧Enter';
  return e.key === ' ' ? 'Space' : e.key;
}

function editable(el: EventTarget | null): boolean {
  return (
    el instanceof HTMLElement &&
    (el.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(el.tagName)) &&
    !(el instanceof HTMLInputElement && /^(checkbox|radio|button)$/.test(el.type))
  );
}

/** Roles that use Enter, Space and arrows themselves. */
function ownsKey(el: EventTarget | null, key: string): boolean {
  if (!(el instanceof HTMLElement)) return false;
  if (el.closest('[role=dialog],[role=listbox],[role=menu]') && key !== 'Esc') return true;
  return (key === 'Enter' || key === 'Space') && /^(BUTTON|A|SUMMARY|INPUT)$/.test(el.tagName);
}

/** Moving in a list takes the focus there, or Enter would press the button that was clicked last. */
function focusList(): void {
  const el = document.activeElement;
  if (!(el instanceof HTMLElement) || !/^(BUTTON|A|SUMMARY|INPUT)$/.test(el.tagName)) return;
  (document.querySelector<HTMLElement>('.wfbox, .scroll.list') ?? document.getElementById('main'))?.focus({
    preventScroll: true,
  });
}

function onKey(e: KeyboardEvent): void {
  if (e.defaultPrevented || e.isComposing || e.keyCode === 229 || e.ctrlKey || e.metaKey || e.altKey) return;
  const key = nameOf(e);
  if (editable(e.target) && key !== 'Esc') return;
  if (ownsKey(e.target, key)) return;
  if (key.length <= 2 && singleKeysOff() && key !== 'Esc') return;
  const now = performance.now();
  const seq = pendingG && now - pendingG < 1200 ? `g ${key}` : null;
  if (key === 'g' && !seq) {
    pendingG = now;
    return;
  }
  pendingG = 0;
  const arrows: Record<string, string> = { ArrowDown: 'j', ArrowUp: 'k' };
  for (const b of activeBindings()) {
    const hit = seq ? b.keys === seq : b.keys === key || b.keys === arrows[key] || (b.keys === 'Enter' && key === 'o');
    if (!hit) continue;
    if (b.run(e) === false) continue;
    e.preventDefault();
    if (b.keys === 'j' || b.keys === 'k') focusList();
    return;
  }
}

export function startKeys(): void {
  document.addEventListener('keydown', onKey);
}
