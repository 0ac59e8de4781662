/*
 * The stream of an agent that serves a whole node: frames name the pod that they are about, and each pod has a share of it that works like the
 * stream of one agent. Only pods of the node have one.
 */
import type { Duplex } from 'node:stream';
import type { ObjectKey } from '../api/kube/keys.ts';
import type { Clock } from '../clock.ts';
import { MAX_POD_HEAD_BYTES, type PodFrame, parsePodFrame, podFrameHead } from '../feed/pod-frames.ts';
import { DOWN, HEARTBEAT_MS, MAX_UP_BYTES, SILENCE_MS, UP } from '../feed/protocol.ts';
import { type Channel, type ChannelEvents, socketChannel } from './channel.ts';
import { Credit } from './credit.ts';
import type { CloseReason } from './feed-refusal.ts';

/** What a stream of a node needs. */
export interface NodeStreamHost {
  readonly clock: Clock;
  /** Serves a pod, unless it is not one of the node, or there are too many streams. */
  readonly addPod: (pod: ObjectKey, open: (events: ChannelEvents) => Channel) => 'added' | 'foreign' | 'full';
  /** Called once. */
  readonly onClose: (reason: CloseReason) => void;
}

/** Most pods of one stream: more than a kubelet runs. */
export const MAX_PODS = 512;
/** Pods that the agent may add in a row, and a second after that. */
const BURST = 2 * MAX_PODS;
const PODS_PER_SECOND = 10;
/** What an agent can only do wrong as a whole, and a replica that can serve no pod: an agent asks again for one whose share has ended. */
const FATAL: ReadonlySet<CloseReason> = new Set(['garbage', 'flood', 'slow', 'unacknowledged', 'stopping']);

/** The stream of one node. */
export class NodeStream {
  readonly #host: NodeStreamHost;
  readonly #channel: Channel;
  readonly #pods = new Map<ObjectKey, ChannelEvents>();
  readonly #claims: Credit;
  #cancelSilence = (): void => undefined;
  #cancelBeat = (): void => undefined;
  #isClosed = false;

  constructor(socket: Duplex, host: NodeStreamHost) {
    this.#host = host;
    this.#claims = new Credit(host.clock, BURST, PODS_PER_SECOND);
    this.#channel = socketChannel(socket, MAX_UP_BYTES + MAX_POD_HEAD_BYTES, {
      onFrame: ({ type, payload }) => this.#onFrame(type === UP.ofPod ? parsePodFrame(payload) : undefined),
      onEnd: (reason) => this.close(reason),
    });
    this.#watchSilence();
    this.#beat();
  }

  /** Names the authorities that the agent's next connections have to trust. */
  sendAuthorities(pem: string): void {
    this.#channel.send(DOWN.authorities, Buffer.from(pem, 'latin1'), () => undefined);
  }

  /** Ends the stream, and with it the shares of all pods. */
  close(reason: CloseReason): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#cancelSilence();
    this.#cancelBeat();
    this.#channel.close(reason);
    const shares = [...this.#pods.values()];
    this.#pods.clear();
    for (const share of shares) share.onEnd('agent');
    this.#host.onClose(reason);
  }

  #onFrame(frame: PodFrame | undefined): void {
    this.#watchSilence();
    if (frame === undefined) this.close('garbage');
    else if (frame.type === UP.leave) this.#leave(frame.pod);
    else if (this.#pods.has(frame.pod) || this.#claim(frame)) this.#pods.get(frame.pod)?.onFrame(frame);
  }

  /** A report about a pod that has no share yet asks for one. */
  #claim({ type, pod }: PodFrame): boolean {
    if (type !== UP.report) this.close('garbage');
    else if (this.#pods.size >= MAX_PODS || !this.#claims.take()) this.close('flood');
    else {
      const result = this.#host.addPod(pod, (events) => this.#share(pod, events));
      if (result === 'foreign') this.close('foreign');
      if (result === 'full') this.#sendEnded(pod);
    }
    return !this.#isClosed;
  }

  #share(pod: ObjectKey, events: ChannelEvents): Channel {
    this.#pods.set(pod, events);
    return {
      send: (type, payload, onWritten) => this.#channel.send(DOWN.ofPod, Buffer.concat([podFrameHead(type, pod), payload]), onWritten),
      // The stream has its own signs of life.
      isDrained: () => false,
      backlog: () => this.#channel.backlog(),
      close: (reason) => {
        if (this.#pods.get(pod) !== events) return;
        this.#pods.delete(pod);
        if (FATAL.has(reason)) this.close(reason);
        else this.#sendEnded(pod);
      },
    };
  }

  #sendEnded(pod: ObjectKey): void {
    this.#channel.send(DOWN.ofPod, podFrameHead(DOWN.ended, pod), () => undefined);
  }

  #leave(pod: ObjectKey): void {
    const share = this.#pods.get(pod);
    this.#pods.delete(pod);
    share?.onEnd('agent');
  }

  #watchSilence(): void {
    this.#cancelSilence();
    if (!this.#isClosed) this.#cancelSilence = this.#host.clock.after(SILENCE_MS, () => this.close('silent'));
  }

  #beat(): void {
    if (this.#channel.isDrained()) this.#channel.send(DOWN.alive, Buffer.alloc(0), () => undefined);
    this.#cancelBeat = this.#host.clock.after(HEARTBEAT_MS, () => this.#beat());
  }
}
