// SPDX-License-Identifier: Apache-2.0
// A small shop. There is no tracing code in it: `node --require dd-trace/init app.js` does that part.
'use strict'
const { fork } = require('child_process')
const path = require('path')
const express = require('express')
const StatsD = require('hot-shots')
const { DynamoDBClient, GetItemCommand } = require('@aws-sdk/client-dynamodb')
const log = require('./log')

const metrics = new StatsD({ prefix: 'shop.', errorHandler: (err) => console.error(`metrics: ${err.message}`) })
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

function makeApp (dynamo) {
  const read = (id) => dynamo.send(new GetItemCommand({ TableName: 'Orders', Key: { pk: { S: id } } }))
  const app = express()

  app.use((req, res, next) => {
    const start = process.hrtime.bigint()
    res.on('finish', () => {
      const ms = Number(process.hrtime.bigint() - start) / 1e6
      const tags = { route: req.route ? req.route.path : 'none', status: String(res.statusCode) }
      metrics.increment('requests', 1, tags)
      metrics.distribution('request.ms', ms, tags)
    })
    next()
  })

  app.get('/', (req, res) => {
    res.type('text').send('GET /orders/1   one order\nGET /slow       twenty orders, one by one\nGET /fail       an error\n')
  })

  app.get('/orders/:id', async (req, res) => {
    const got = await read(req.params.id)
    log.info('order read', { order_id: req.params.id, customer_id: 'premium' })
    res.json(got.Item)
  })

  // The classic N+1: one DynamoDB call for each order instead of one batch.
  app.get('/slow', async (req, res) => {
    const orders = []
    for (let n = 1; n <= 20; n++) orders.push((await read(`order-${n}`)).Item)
    await sleep(600)
    log.warn('slow list', { orders: orders.length })
    res.json(orders)
  })

  app.get('/fail', async (req, res) => {
    await read('order-0')
    throw new TypeError('order-0 has no price')
  })

  app.use((err, req, res, next) => {
    metrics.increment('failures', 1, { kind: err.name })
    log.error('request failed', { route: req.path, 'error.message': err.message, 'error.stack': err.stack })
    res.status(500).json({ error: err.message })
  })
  return app
}

const fake = fork(path.join(__dirname, 'fake-dynamodb.js'), { execArgv: [] })
fake.once('message', ({ port }) => {
  const dynamo = new DynamoDBClient({
    endpoint: `http://127.0.0.1:${port}`,
    region: 'eu-central-1',
    credentials: { accessKeyId: 'example', secretAccessKey: 'example' }
  })
  const server = makeApp(dynamo).listen(Number(process.env.PORT ?? 3000), '127.0.0.1', () => {
    console.log(`listening on http://127.0.0.1:${server.address().port}`)
  })
  const stop = () => {
    server.close()
    metrics.close(() => {
      if (fake.connected) fake.disconnect()       // Ctrl-C reaches it as well
      setTimeout(() => process.exit(0), 1500)     // the tracer and the log shipper send what they hold
    })
  }
  process.once('SIGTERM', stop)
  process.once('SIGINT', stop)
})
