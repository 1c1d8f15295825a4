// SPDX-License-Identifier: Apache-2.0
// JSON log lines: to the terminal, and over HTTP to yagura's log intake. dd-trace adds the trace ids to each
// line (DD_LOGS_INJECTION), so nothing here knows of tracing.
'use strict'
const winston = require('winston')

const api = new URL(process.env.YAGURA_API || 'http://127.0.0.1:8080')
const key = process.env.YAGURA_API_KEY
const service = process.env.DD_SERVICE || 'shop-express'
const env = process.env.DD_ENV || 'dev'

const transports = [new winston.transports.Console()]
if (key) {
  transports.push(new winston.transports.Http({
    host: api.hostname,
    port: Number(api.port || (api.protocol === 'https:' ? 443 : 80)),
    ssl: api.protocol === 'https:',
    path: `/api/v2/logs?ddsource=nodejs&service=${encodeURIComponent(service)}&ddtags=env:${encodeURIComponent(env)}`,
    headers: { 'DD-API-KEY': key },
    batch: true,
    batchInterval: 500,
    batchCount: 50
  }))
} else {
  console.error('YAGURA_API_KEY is not set: log lines stay in this terminal, traces and metrics are sent')
}

const log = winston.createLogger({
  format: winston.format.combine(winston.format.timestamp(), winston.format.json()),
  transports
})
log.on('error', (err) => console.error(`log intake at ${api.origin}: ${err.message}`))

module.exports = log
