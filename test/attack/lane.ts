/*
 * A lane: one port of a proxy with a separate application behind it. Its cases run one after another; lanes run side by side.
 */
import type { Application } from './application.ts';
import { type AnswerCase, get, type RequestCase } from './case.ts';
import { Client, type Pinger } from './client.ts';
import { describeRequest, describeResponse, type Outcome, statusesOf } from './outcome.ts';
import type { Received } from './strict-reader.ts';

/** The request behind every case, on the same connection. */
const SENTINEL = get('/sentinel', 'Connection: close');
const SEEN_SENTINEL = /x-seen: GET \/sentinel/i;
/** A proxy that announces the end of a connection closes it; Envoy waits up to a second for the client. */
const CLOSING = /\r\nconnection: close\r\n/i;

/** An outcome, and what the application received in full: because of the case, and with the probe after it. */
export interface Observation {
  readonly outcome: Outcome;
  readonly received: readonly Received[];
  readonly all: readonly Received[];
}

/** One proxy port. */
export class Lane {
  readonly #port: number;
  readonly #application: Application;
  readonly #pinger: Pinger;
  #probes = 0;

  constructor(port: number, application: Application, pinger: Pinger) {
    this.#port = port;
    this.#application = application;
    this.#pinger = pinger;
  }

  /** Sends the parts of a case and a sentinel behind them. */
  async request({ parts, sentinel }: RequestCase): Promise<Observation> {
    await this.#begin();
    const client = new Client(this.#port);
    const isOver = (): boolean => client.ended || SEEN_SENTINEL.test(client.text);
    const [first = '', ...others] = sentinel ? [...parts.slice(0, -1), (parts.at(-1) ?? '') + SENTINEL] : parts;
    await client.write(first);
    for (const part of others) {
      await this.#pinger.read();
      await client.write(part);
    }
    await this.#settle(client, isOver);
    await this.#settle(client);
    return this.#observe(client, '');
  }

  /** Sends the request of a case, lets the application play its steps, and sends a sentinel behind it. */
  async answer({ request, steps }: AnswerCase): Promise<Observation> {
    await this.#begin();
    const client = new Client(this.#port);
    this.#application.begin(steps, () => this.#settle(client));
    await client.write(request);
    await this.#settle(client);
    await this.#application.played;
    await this.#settle(client);
    const response = describeResponse(client.text, request.slice(0, request.indexOf(' ')), client.ended);
    await client.write(SENTINEL);
    await this.#settle(client);
    return this.#observe(client, response);
  }

  /** New connections to the application, and a proxy that has noticed. */
  async #begin(): Promise<void> {
    this.#application.begin();
    await this.#pinger.read();
  }

  #settle(client: Client, isOver?: () => boolean): Promise<void> {
    return this.#pinger.settle(() => client.events + this.#application.events, isOver);
  }

  async #observe(client: Client, response: string): Promise<Observation> {
    const text = client.text;
    const kept = SEEN_SENTINEL.test(text);
    const closed = client.ended || CLOSING.test(text);
    const received = this.#application.received();
    client.close();
    const probe = await this.#probe();
    const application = received.map(describeRequest).join('\n');
    const connection = kept ? 'kept' : closed ? 'closed' : 'waiting';
    return {
      received,
      all: this.#application.received(),
      outcome: { status: statusesOf(text), connection, application, response, probe },
    };
  }

  /** Would the next client get the response to its own request? */
  async #probe(): Promise<string> {
    this.#probes += 1;
    const target = `/probe-${this.#probes}`;
    const client = new Client(this.#port);
    await client.write(get(target, 'Connection: close'));
    await this.#settle(client, () => client.ended);
    const [, seen = 'another response'] = /x-seen: GET (\S*)/i.exec(client.text) ?? [];
    client.close();
    return `${statusesOf(client.text)} ${seen === target ? 'own response' : seen}`;
  }
}
