// SPDX-License-Identifier: Apache-2.0
// One short life of an instrumented Express application: starts, calls itself, exits.
// Only public API of dd-trace, express and the AWS SDK; where it sends is decided by DD_* alone.
'use strict'
const tracer = require('dd-trace').init({ flushInterval: 200 })
const http = require('http')
const express = require('express')
const { DynamoDBClient, GetItemCommand } = require('@aws-sdk/client-dynamodb')

const fake = http.createServer((req, res) => {
  req.resume()
  req.on('end', () => {
    res.setHeader('content-type', 'application/x-amz-json-1.0')
    res.setHeader('x-amzn-requestid', 'REQ0000000000000000000000000000000000000000000000001')
    res.end(JSON.stringify({ Item: { pk: { S: 'order#1' }, total: { N: '42' } } }))
  })
})

function get (port, path) {
  return new Promise((resolve, reject) => {
    http.get({ host: '127.0.0.1', port, path, headers: { 'user-agent': 'golden/1.0' } }, (res) => {
      res.resume()
      res.on('end', resolve)
    }).on('error', reject)
  })
}

fake.listen(0, '127.0.0.1', () => {
  const dynamo = new DynamoDBClient({
    endpoint: `http://127.0.0.1:${fake.address().port}`,
    region: 'eu-central-1',
    credentials: { accessKeyId: 'test', secretAccessKey: 'test' }
  })
  const app = express()
  app.get('/orders/:id', async (req, res) => {
    await dynamo.send(new GetItemCommand({ TableName: 'Orders', Key: { pk: { S: req.params.id } } }))
    res.json({ id: req.params.id })
  })
  app.get('/fail', () => { throw new TypeError('order book is empty') })
  app.get('/custom', (req, res) => {
    const root = tracer.scope().active()
    root.setTag('customer_id', 'premium')
    root.setTag('cart.items', 3)
    root.setTag('note', 'größe 大 ✓')
    tracer.trace('price.compute', { resource: 'vat' }, (span) => {
      span.addLink({ context: root.context(), attributes: { why: 'golden' } })
      span.addEvent('cache.miss', { key: 'vat:de', tries: 2, cold: true }, 1790000000000)
    })
    res.end('ok')
  })
  const server = app.listen(0, '127.0.0.1', async () => {
    const port = server.address().port
    for (const path of ['/orders/1', '/fail', '/custom', '/missing']) await get(port, path)
    setTimeout(() => process.exit(0), Number(process.env.GOLDEN_LINGER_MS || 2500))
  })
})
