/** QEMU's machine protocol: a JSON object per line, each way. */
import { EventEmitter } from 'node:events'
import { connect } from 'node:net'

export class QmpError extends Error {
  constructor(command, { class: kind, desc }) {
    super(`${command}: ${desc}`)
    this.name = 'QmpError'
    this.code = kind
  }
}

/**
 * @typedef {object} QmpTransport whatever carries the bytes
 * @property {(data: string, fds?: number[]) => unknown} write with descriptors beside the bytes, if it can send them
 * @property {() => AsyncIterator<Uint8Array>} [Symbol.asyncIterator] the chunks that arrive
 * @property {() => unknown} [close]
 */

export class Qmp {
  #transport
  #waiting = new Map()
  #nextId = 1
  #events = new EventEmitter().setMaxListeners(0)
  #failure = null
  #greeted

  constructor(transport) {
    this.#transport = transport
    this.#greeted = new Promise((resolve, reject) => this.#waiting.set('greeting', { resolve, reject }))
    this.#receive()
  }

  /** @param {string | QmpTransport} target path of QEMU's socket, or a transport that is connected to it */
  static async open(target) {
    const qmp = new Qmp(typeof target === 'string' ? await socketTransport(target) : target)
    try {
      await qmp.#greeted
      await qmp.execute('qmp_capabilities')
    } catch (error) {
      qmp.close()
      throw error
    }
    return qmp
  }

  /**
   * @param {string} command
   * @param {object} [args]
   * @param {{ fds?: number[] }} [options] descriptors to send along, for `getfd` and `add-fd`
   */
  execute(command, args = {}, { fds } = {}) {
    const id = this.#nextId++
    return new Promise((resolve, reject) => {
      if (this.#failure) return reject(this.#failure)
      this.#waiting.set(id, { resolve, reject, command })
      Promise.resolve(
        this.#transport.write(`${JSON.stringify({ execute: command, arguments: args, id })}\n`, fds)
      ).catch(error => {
        this.#waiting.delete(id)
        reject(error)
      })
    })
  }

  /** The next event of that name which `matches`. Ask before doing what causes it. */
  event(name, { matches = () => true, timeout = 30_000 } = {}) {
    return new Promise((resolve, reject) => {
      const settle = (settled, value) => {
        clearTimeout(timer)
        this.#events.off(name, listener).off('failure', failed)
        settled(value)
      }
      const listener = event => matches(event.data ?? {}) && settle(resolve, event)
      const failed = error => settle(reject, error)
      const timer = setTimeout(() => settle(reject, new Error(`no event ${name} within ${timeout} ms`)), timeout)
      this.#events.on(name, listener).on('failure', failed)
    })
  }

  /** @param {(event: { event: string, data?: object, timestamp: object }) => void} listener of every event */
  onEvent(listener) {
    this.#events.on('event', listener)
    return () => this.#events.off('event', listener)
  }

  close() {
    this.#fail(new Error('QMP connection closed'))
    this.#transport.close?.()
  }

  async [Symbol.asyncDispose]() {
    this.close()
  }

  async #receive() {
    const decoder = new TextDecoder()
    let pending = ''
    try {
      for await (const chunk of this.#transport) {
        const lines = (pending + decoder.decode(chunk, { stream: true })).split('\n')
        pending = lines.pop()
        for (const line of lines) if (line.trim()) this.#take(JSON.parse(line))
      }
      this.#fail(new Error('QMP connection ended'))
    } catch (error) {
      this.#fail(error)
    }
  }

  #take(message) {
    if (message.event) {
      this.#events.emit('event', message)
      // An EventEmitter throws for 'error' without listeners.
      if (message.event !== 'error') this.#events.emit(message.event, message)
      return
    }
    const key = message.QMP ? 'greeting' : message.id
    const waiting = this.#waiting.get(key)
    this.#waiting.delete(key)
    if (message.error) waiting?.reject(new QmpError(waiting.command, message.error))
    else waiting?.resolve(message.QMP ?? message.return)
  }

  #fail(error) {
    if (this.#failure) return
    this.#failure = error
    // Nobody may be waiting for the greeting any more.
    this.#greeted.catch(() => {})
    for (const { reject } of this.#waiting.values()) reject(error)
    this.#waiting.clear()
    this.#events.emit('failure', error)
  }
}

/** @returns {Promise<QmpTransport>} over a plain socket, which cannot carry descriptors */
function socketTransport(path) {
  return new Promise((resolve, reject) => {
    const socket = connect(path)
    socket.once('error', reject)
    socket.once('connect', () =>
      resolve({
        write(data, fds = []) {
          if (fds.length > 0) throw new TypeError('a net.Socket cannot send descriptors')
          socket.write(data)
        },
        [Symbol.asyncIterator]: () => socket[Symbol.asyncIterator](),
        close: () => socket.destroy()
      })
    )
  })
}
