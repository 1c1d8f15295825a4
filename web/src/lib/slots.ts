// SPDX-License-Identifier: Apache-2.0
// Colour slots: a pure function of what the view shows, so that all viewers agree and a service usually keeps its colour.

export const SLOTS = 8;

/** FNV-1a over the UTF-8 bytes. */
export function hash32(s: string): number {
  let h = 0x811c9dc5;
  for (const b of new TextEncoder().encode(s)) {
    h ^= b;
    h = Math.imul(h, 0x01000193) >>> 0;
  }
  return h >>> 0;
}

/**
 * Slots 1…8 for services in falling weight; the wanted slot is hash mod 8, on collision the next free one.
 * The ninth and later get 0 (grey, named on the bar).
 */
export function assignSlots(namesByWeight: readonly string[]): Map<string, number> {
  const out = new Map<string, number>();
  const taken = new Set<number>();
  for (const name of namesByWeight) {
    if (out.has(name)) continue;
    if (taken.size === SLOTS) {
      out.set(name, 0);
      continue;
    }
    let s = hash32(name) % SLOTS;
    while (taken.has(s)) s = (s + 1) % SLOTS;
    taken.add(s);
    out.set(name, s + 1);
  }
  return out;
}

export function slotVar(slot: number | undefined): string {
  return slot ? `var(--cat-${slot})` : 'var(--cat-other)';
}
export function slotInk(slot: number | undefined): string {
  return slot ? `var(--on-cat-${slot})` : 'var(--bg)';
}
