/** Specs in files, YAML or JSON: `linkwright/spec`, which alone loads libraries for that. */
export { loadSpec, parseSpec } from './load.js'
