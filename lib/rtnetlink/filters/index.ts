/** Every kind in this folder. Written by scripts/kinds.mjs. */
export * from './basic.js'
export * from './flower.js'
export * from './matchall.js'
export * from './u32.js'
