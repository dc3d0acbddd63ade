import { fileURLToPath } from 'node:url'

const path = relative => fileURLToPath(new URL(relative, import.meta.url))

export const bench = path('./')
export const cache = path('../.cache/bench/')
export const peers = path('./peers/')
