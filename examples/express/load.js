// SPDX-License-Identifier: Apache-2.0
// A bounded load loop: node load.js [seconds] [requests per second], default 60 s at 5/s, against http://127.0.0.1:$PORT.
'use strict'
const http = require('http')

const seconds = Math.min(Number(process.argv[2] || 60), 3600)
const perSecond = Math.min(Number(process.argv[3] || 5), 50)
const port = Number(process.env.PORT || 3000)
const paths = ['/orders/1', '/orders/2', '/orders/3', '/orders/4', '/slow', '/orders/5', '/orders/6', '/fail']
const total = Math.ceil(seconds * perSecond)

let sent = 0
const timer = setInterval(() => {
  const path = paths[sent++ % paths.length]
  http.get({ host: '127.0.0.1', port, path }, (res) => res.resume())
    .on('error', (err) => console.error(`${path}: ${err.message}`))
  if (sent === total) {
    clearInterval(timer)
    console.log(`sent ${sent} requests`)
  }
}, 1000 / perSecond)
