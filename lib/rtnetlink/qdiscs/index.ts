/** Every kind in this folder. Written by scripts/kinds.mjs. */
export * from './bfifo.js'
export * from './clsact.js'
export * from './fq-codel.js'
export * from './htb.js'
export * from './ingress.js'
export * from './pfifo.js'
export * from './sfq.js'
export * from './tbf.js'
