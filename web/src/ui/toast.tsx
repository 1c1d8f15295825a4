// SPDX-License-Identifier: Apache-2.0
// Short notices at the lower right, spoken politely.
import type { VNode } from 'preact';
import { useLayoutEffect, useState } from 'preact/hooks';
import { Icon } from './icon';

interface Toast {
  id: number;
  text: string;
  key?: string;
}
let list: Toast[] = [];
let n = 0;
let changed: (() => void) | null = null;

export function toast(text: string, key?: string): void {
  const one = { id: ++n, text, key };
  list = [...list.slice(-2), one];
  changed?.();
  setTimeout(() => {
    list = list.filter((x) => x !== one);
    changed?.();
  }, 4000);
}

export async function copyText(text: string, said: string, key?: string): Promise<void> {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const ta = document.createElement('textarea');
    ta.value = text;
    ta.className = 'sr';
    document.body.append(ta);
    ta.select();
    document.execCommand('copy');
    ta.remove();
  }
  toast(said, key);
}

export function Toasts(): VNode {
  const [, set] = useState(0);
  useLayoutEffect(() => {
    changed = () => set((x) => x + 1);
    return () => {
      changed = null;
    };
  }, []);
  return (
    <div class="toasts" role="status" aria-live="polite">
      {list.map((x) => (
        <div class="toast" key={x.id}>
          <span class="c-ok">
            <Icon n="check" />
          </span>
          <span class="grow">{x.text}</span>
          {x.key ? <span class="kbd">{x.key}</span> : null}
        </div>
      ))}
    </div>
  );
}
