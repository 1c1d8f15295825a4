// SPDX-License-Identifier: Apache-2.0
// winston's own HTTP transport posts JSON lines with the trace ids that dd-trace injects.
'use strict'
const tracer = require('dd-trace').init({ logInjection: true, startupLogs: false })
const winston = require('winston')
const logger = winston.createLogger({
  format: winston.format.combine(winston.format.timestamp(), winston.format.json()),
  transports: [new winston.transports.Http({
    host: '127.0.0.1',
    port: Number(process.env.GOLDEN_PORT),
    path: '/api/v2/logs?dd-api-key=0123456789abcdef0123456789abcdef&ddsource=nodejs&service=shop-api'
  })]
})
tracer.trace('checkout', () => {
  logger.info('order placed', { order: { id: 17, total: 42.5 }, customer_id: 'premium' })
  logger.error('card refused', { code: 'E42' })
})
setTimeout(() => process.exit(0), 1500)
