// SPDX-License-Identifier: Apache-2.0
// A stand-in for DynamoDB: answers every GetItem with a made-up order. Started by app.js as its own process.
'use strict'
const http = require('http')

const delayMs = Number(process.env.FAKE_DYNAMODB_DELAY_MS || 5)

const server = http.createServer((req, res) => {
  const parts = []
  req.on('data', (part) => parts.push(part))
  req.on('end', () => {
    const ask = JSON.parse(Buffer.concat(parts).toString() || '{}')
    const item = ask.Key ? { ...ask.Key, total: { N: '42' } } : undefined
    setTimeout(() => {
      res.setHeader('content-type', 'application/x-amz-json-1.0')
      res.end(JSON.stringify({ Item: item }))
    }, delayMs)
  })
})
server.listen(0, '127.0.0.1', () => process.send({ port: server.address().port }))
process.on('disconnect', () => process.exit(0))
