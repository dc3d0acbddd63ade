/** Every kind in this folder. Written by scripts/kinds.mjs. */
export * from './gact.js'
export * from './mirred.js'
export * from './police.js'
