/*
 * SETTINGS_ENABLE_CONNECT_PROTOCOL of a peer (RFC 8441 section 3). Other settings are tested with whole connections.
 */
import { expect } from 'chai';
import { PeerSettings } from '../../../../src/agent/http2/peer-settings.ts';

const PROTOCOL_ERROR = 1;
const SETTING = 8;

/** Applies the values in one frame each. @returns the errors, and whether requests with `:protocol` may be sent */
function applied(...values: readonly number[]): readonly [errors: readonly number[], enablesConnect: boolean] {
  const peer = new PeerSettings();
  const errors = values.map((value) => {
    const payload = Buffer.alloc(6);
    payload.writeUInt16BE(SETTING, 0);
    payload.writeUInt32BE(value, 2);
    return peer.apply(payload, 0, payload.length);
  });
  return [errors, peer.enablesConnect];
}

describe('PeerSettings', () => {
  for (const [name, values, expected] of [
    ['are off at first', [], [[], false]],
    ['may be off', [0], [[0], false]],
    ['may be on', [1], [[0], true]],
    ['may be turned on later', [0, 1, 1], [[0, 0, 0], true]],
    ['may not be turned off again', [1, 0], [[0, PROTOCOL_ERROR], true]],
    ['have no other value', [2], [[PROTOCOL_ERROR], false]],
  ] as const) {
    it(`extended CONNECT: ${name}`, () => {
      expect(applied(...values)).to.deep.equal(expected);
    });
  }
});
