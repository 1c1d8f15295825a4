// SPDX-License-Identifier: Apache-2.0
// The boot block that the server writes into the page, and the server's clock.

export interface Boot {
  version: string;
  session: boolean;
  now_ms: number;
  public_url: string;
  envs: string[];
  has_data: boolean;
}

function readBoot(): Boot {
  let given: Partial<Boot> = {};
  try {
    given = JSON.parse(document.getElementById('boot')?.textContent || '{}') as Partial<Boot>;
  } catch {
    given = {};
  }
  return {
    version: given.version ?? '',
    session: given.session ?? true,
    now_ms: given.now_ms ?? Date.now(),
    public_url: given.public_url ?? location.origin,
    envs: given.envs ?? [],
    has_data: given.has_data ?? true,
  };
}

export const boot: Boot = readBoot();

let offset = boot.now_ms - Date.now();

/** Milliseconds since 1970 by the server's clock. */
export function serverNow(): number {
  return Date.now() + offset;
}

/** Called with each answer that tells the server's time. */
export function noteServerTime(ms: number): void {
  offset = ms - Date.now();
}

export function clockOffset(): number {
  return offset;
}
