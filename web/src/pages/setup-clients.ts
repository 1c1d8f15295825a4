// SPDX-License-Identifier: Apache-2.0
// The copy-paste lines of Setup, filled in for this server.
import type { SetupInfo } from '../lib/api';

export interface Step {
  title: string;
  text?: string;
  note?: string;
  tabs: { id: string; label: string; text: string }[];
}
export interface Client {
  id: string;
  group: 'tracers' | 'direct' | 'lambda';
  kinds: string[];
  steps: (d: SetupInfo, key: string) => Step[];
}

const agentUrl = (d: SetupInfo): string => `http://${d.endpoints.agent}`;
const hostOf = (a: string): string => a.replace(/:\d+$/, '').replace(/^\[|\]$/g, '');
const portOf = (a: string): string => /:(\d+)$/.exec(a)?.[1] ?? '';

const node = (d: SetupInfo): Step[] => [
  { title: 'setup.install', tabs: [{ id: 'npm', label: 'npm', text: 'npm install dd-trace hot-shots' }] },
  {
    title: 'setup.start',
    text: 'setup.start_tracer',
    note: 'setup.agent_loopback',
    tabs: [
      {
        id: 'sh',
        label: 'Shell',
        text: `DD_TRACE_AGENT_URL=${agentUrl(d)} \\\nDD_SERVICE=my-app DD_ENV=dev DD_VERSION=1 \\\nDD_LOGS_INJECTION=true DD_RUNTIME_METRICS_ENABLED=true \\\nnode --require dd-trace/init app.js`,
      },
      {
        id: 'env',
        label: '.env',
        text: `DD_TRACE_AGENT_URL=${agentUrl(d)}\nDD_SERVICE=my-app\nDD_ENV=dev\nDD_VERSION=1\nDD_LOGS_INJECTION=true\nDD_RUNTIME_METRICS_ENABLED=true\nNODE_OPTIONS="--require dd-trace/init"`,
      },
      {
        id: 'compose',
        label: 'Compose',
        text: `environment:\n  DD_TRACE_AGENT_URL: ${agentUrl(d)}\n  DD_SERVICE: my-app\n  DD_ENV: dev\n  DD_LOGS_INJECTION: "true"\n  NODE_OPTIONS: "--require dd-trace/init"`,
      },
    ],
  },
];

const python = (d: SetupInfo): Step[] => [
  { title: 'setup.install', tabs: [{ id: 'pip', label: 'pip', text: 'pip install ddtrace datadog' }] },
  {
    title: 'setup.start',
    text: 'setup.start_tracer',
    note: 'setup.agent_loopback',
    tabs: [
      {
        id: 'sh',
        label: 'Shell',
        text: `DD_TRACE_AGENT_URL=${agentUrl(d)} \\\nDD_SERVICE=my-app DD_ENV=dev DD_VERSION=1 \\\nDD_LOGS_INJECTION=true \\\nddtrace-run python app.py`,
      },
      {
        id: 'env',
        label: '.env',
        text: `DD_TRACE_AGENT_URL=${agentUrl(d)}\nDD_SERVICE=my-app\nDD_ENV=dev\nDD_VERSION=1\nDD_LOGS_INJECTION=true`,
      },
    ],
  },
];

const dogstatsd = (d: SetupInfo): Step[] => {
  const host = hostOf(d.endpoints.dogstatsd),
    port = portOf(d.endpoints.dogstatsd);
  return [
    {
      title: 'setup.send_metric',
      text: 'setup.send_metric_sub',
      tabs: [
        {
          id: 'sh',
          label: 'Shell',
          text: `printf 'hello.count:1|c|#env:dev,service:my-app' > /dev/udp/${host}/${port}   # bash`,
        },
        {
          id: 'js',
          label: 'Node.js',
          text: `const StatsD = require('hot-shots');\nconst statsd = new StatsD({ host: '${host}', port: ${port}, globalTags: { env: 'dev', service: 'my-app' } });\nstatsd.increment('hello.count');\nstatsd.distribution('hello.latency', 12.5);`,
        },
        {
          id: 'py',
          label: 'Python',
          text: `from datadog import initialize, statsd\ninitialize(statsd_host='${host}', statsd_port=${port}, statsd_constant_tags=['env:dev', 'service:my-app'])\nstatsd.increment('hello.count')\nstatsd.distribution('hello.latency', 12.5)`,
        },
      ],
    },
  ];
};

const logs = (d: SetupInfo, key: string): Step[] => [
  {
    title: 'setup.send_log',
    text: 'setup.send_log_sub',
    tabs: [
      {
        id: 'curl',
        label: 'curl',
        text: `curl -X POST "${d.public_url}/api/v2/logs" \\\n  -H "DD-API-KEY: ${key}" -H "Content-Type: application/json" \\\n  -d '[{"message":"hello from curl","service":"my-app","status":"info","ddsource":"curl","ddtags":"env:dev"}]'`,
      },
      {
        id: 'text',
        label: 'Text',
        text: `tail -F app.log | while read -r line; do\n  printf '%s' "$line" | curl -s -X POST "${d.public_url}/v1/input?ddsource=app&service=my-app&ddtags=env:dev" \\\n    -H "DD-API-KEY: ${key}" -H "Content-Type: text/plain" --data-binary @-\ndone`,
      },
      {
        id: 'py',
        label: 'Python',
        text: `import json, urllib.request\nreq = urllib.request.Request("${d.public_url}/api/v2/logs",\n    data=json.dumps([{"message": "hello", "service": "my-app", "ddtags": "env:dev"}]).encode(),\n    headers={"DD-API-KEY": "${key}", "Content-Type": "application/json"})\nurllib.request.urlopen(req)`,
      },
    ],
  },
];

const metrics = (d: SetupInfo, key: string): Step[] => [
  {
    title: 'setup.send_series',
    tabs: [
      {
        id: 'curl',
        label: 'curl',
        text: `curl -X POST "${d.public_url}/api/v2/series" \\\n  -H "DD-API-KEY: ${key}" -H "Content-Type: application/json" \\\n  -d '{"series":[{"metric":"hello.gauge","type":3,"points":[{"timestamp":'$(date +%s)',"value":42}],"tags":["env:dev","service:my-app"]}]}'`,
      },
      {
        id: 'py',
        label: 'Python',
        text: `from datadog import initialize, api\nimport time\ninitialize(api_key="${key}", api_host="${d.public_url}")\napi.Metric.send(metric="hello.gauge", points=[(time.time(), 42)], tags=["env:dev", "service:my-app"])`,
      },
    ],
  },
];

const lambda = (d: SetupInfo, key: string): Step[] => {
  const vars: [string, string][] = [
    ['DD_API_KEY', key],
    ['DD_APM_DD_URL', d.public_url],
    ['DD_DD_URL', d.public_url],
    ['DD_LOGS_CONFIG_LOGS_DD_URL', d.public_url],
    ['DD_ENV', 'prod'],
    ['DD_SERVICE', 'my-function'],
    ['DD_VERSION', '1'],
    ['DD_TRACE_ENABLED', 'true'],
    ['DD_LOGS_INJECTION', 'true'],
    ['DD_SERVERLESS_LOGS_ENABLED', 'true'],
  ];
  return [
    {
      title: 'setup.env_block',
      text: 'setup.env_sub',
      note: 'setup.lambda_note',
      tabs: [
        { id: 'env', label: 'Variables', text: vars.map(([k, x]) => `${k}=${x}`).join('\n') },
        {
          id: 'tf',
          label: 'Terraform',
          text: `environment {\n  variables = {\n${vars.map(([k, x]) => `    ${k.padEnd(28)} = "${x}"`).join('\n')}\n  }\n}`,
        },
        { id: 'cdk', label: 'CDK', text: `environment: {\n${vars.map(([k, x]) => `  ${k}: '${x}',`).join('\n')}\n},` },
      ],
    },
  ];
};

export const CLIENTS: Client[] = [
  { id: 'nodejs', group: 'tracers', kinds: ['traces'], steps: node },
  { id: 'python', group: 'tracers', kinds: ['traces'], steps: python },
  { id: 'dogstatsd', group: 'direct', kinds: ['dogstatsd'], steps: dogstatsd },
  { id: 'logs', group: 'direct', kinds: ['logs'], steps: logs },
  { id: 'metrics', group: 'direct', kinds: ['metrics'], steps: metrics },
  { id: 'lambda', group: 'lambda', kinds: ['logs', 'metrics'], steps: lambda },
];
