// SPDX-License-Identifier: Apache-2.0
// Bundles every test/*.test.ts and runs them with node's own test runner.
import { build } from 'esbuild';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const out = mkdtempSync(join(tmpdir(), 'yagura-web-'));
const entries = readdirSync(here)
  .filter((f) => f.endsWith('.test.ts'))
  .map((f) => join(here, f));
await build({
  entryPoints: entries,
  outdir: out,
  bundle: true,
  platform: 'node',
  format: 'esm',
  outExtension: { '.js': '.mjs' },
  define: { WEB_DIR: JSON.stringify(dirname(here)) },
  logLevel: 'warning',
  jsx: 'automatic',
  jsxImportSource: 'preact',
});
const files = readdirSync(out)
  .filter((f) => f.endsWith('.mjs'))
  .map((f) => join(out, f));
const r = spawnSync(process.execPath, ['--test', '--test-reporter=tap', ...process.argv.slice(2), ...files], {
  stdio: 'inherit',
});
rmSync(out, { recursive: true, force: true });
process.exit(r.status ?? 1);
