/* HPACK: the examples of RFC 7541 appendix C, faults, limits, and random header lists against the encoder. */
import { expect } from 'chai';
import fc from 'fast-check';
import { FRAME } from '../../../../../src/agent/http2/frames.ts';
import { ByteWriter } from '../../../../../src/agent/http2/hpack/byte-writer.ts';
import { type DecoderLimits, HpackDecoder } from '../../../../../src/agent/http2/hpack/decoder.ts';
import { encodeField } from '../../../../../src/agent/http2/hpack/encode.ts';
import { block, integer } from '../../../../support/http2-frames.ts';

const LIMITS: DecoderLimits = { listBytes: 4096, fields: 20 };

function decode(decoder: HpackDecoder, hex: string | Buffer): ReturnType<HpackDecoder['decode']> {
  const bytes = typeof hex === 'string' ? Buffer.from(hex.replaceAll(' ', ''), 'hex') : hex;
  return decoder.decode(bytes, 0, bytes.length);
}

const REQUESTS = [
  [':method', 'GET', ':scheme', 'http', ':path', '/', ':authority', 'www.example.com'],
  [':method', 'GET', ':scheme', 'http', ':path', '/', ':authority', 'www.example.com', 'cache-control', 'no-cache'],
  [':method', 'GET', ':scheme', 'https', ':path', '/index.html', ':authority', 'www.example.com', 'custom-key', 'custom-value'],
];

describe('HPACK decoder', () => {
  const EXAMPLES: readonly (readonly [name: string, blocks: readonly string[]])[] = [
    [
      'C.3',
      [
        '828684410f7777772e6578616d706c652e636f6d',
        '828684be58086e6f2d6361636865',
        '828785bf400a637573746f6d2d6b65790c637573746f6d2d76616c7565',
      ],
    ],
    ['C.4', ['828684418cf1e3c2e5f23a6ba0ab90f4ff', '828684be5886a8eb10649cbf', '828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf']],
  ];
  for (const [name, blocks] of EXAMPLES) {
    it(`reads the requests of RFC 7541 ${name}`, () => {
      const decoder = new HpackDecoder(LIMITS);

      expect(blocks.map((hex) => decode(decoder, hex))).to.deep.equal(REQUESTS);
    });
  }

  it('reads the responses of RFC 7541 C.6, which evict entries', () => {
    const decoder = new HpackDecoder(LIMITS);
    const date = 'Mon, 21 Oct 2013 20:13:21 GMT';
    decode(decoder, '3fe101');

    const first = decode(
      decoder,
      '488264025885aec3771a4b6196d07abe941054d444a8200595040b8166e082a62d1bff6e919d29ad171863c78f0b97c8e9ae82ae43d3',
    );
    const second = decode(decoder, '4883640effc1c0bf');

    expect(first).to.deep.equal([':status', '302', 'cache-control', 'private', 'date', date, 'location', 'https://www.example.com']);
    expect(second).to.deep.equal([':status', '307', 'cache-control', 'private', 'date', date, 'location', 'https://www.example.com']);
  });

  const FAULTS: readonly (readonly [name: string, hex: string])[] = [
    ['index 0', '80'],
    ['an index behind the tables', 'be'],
    ['an integer that does not end', '7f'],
    ['an integer that is too large', 'ffffffffffffffff0f'],
    ['a string that is longer than the block', '0001610561'],
    ['a name without a value', '000161'],
    ['a table that is larger than allowed', '3fe21f'],
    ['three size updates', '202020'],
    ['a size update behind a field', '8220'],
    ['Huffman padding of eight bits', '0001618 1ff'],
    ['Huffman padding that is not of ones', '000161811c00'],
    ['the end of the string within Huffman code', '00016184ffffffff'],
  ];
  for (const [name, hex] of FAULTS) {
    it(`refuses ${name}`, () => {
      expect(decode(new HpackDecoder(LIMITS), hex)).to.equal('compression');
    });
  }

  for (const [name, value] of [
    ['X', 'a'],
    ['a b', 'a'],
    ['', 'a'],
    [':', 'a'],
    ['a:b', 'a'],
    ['a\xe9', 'a'],
    ['a', 'b\n'],
    ['a', '\0'],
    ['a', '\x7f'],
  ] as const) {
    it(`refuses the field ${JSON.stringify([name, value])}`, () => {
      expect(decode(new HpackDecoder(LIMITS), block([[name, value]]))).to.equal('field');
    });
  }

  it('names what exceeds a limit, and keeps its table for the next block', () => {
    const decoder = new HpackDecoder(LIMITS);
    const entry = Buffer.concat([Buffer.from([0x40]), integer(0, 7, 1), Buffer.from('k'), integer(0, 7, 3000), Buffer.alloc(3000, 'v')]);

    expect(decode(decoder, Buffer.concat([entry, Buffer.from([0xbe])]))).to.equal('size');
    expect(decode(decoder, Buffer.alloc(21, 0x82))).to.equal('count');
    expect(decode(decoder, 'be')).to.deep.equal(['k', 'v'.repeat(3000)]);
  });

  it('reads lists up to the limits, whole', () => {
    const decoder = new HpackDecoder({ listBytes: 8, fields: 3 });
    const field = (value: string): Buffer => block([['k', value]]);

    expect(decode(decoder, field('1234567'))).to.deep.equal(['k', '1234567']);
    expect(decode(decoder, field('12345678'))).to.equal('size');
    expect(decode(decoder, Buffer.concat([field('123'), field('123')]))).to.deep.equal(['k', '123', 'k', '123']);
    expect(decode(decoder, Buffer.concat([field('1'), field('2'), field('3')]))).to.deep.equal(['k', '1', 'k', '2', 'k', '3']);
    expect(decode(decoder, Buffer.concat([field(''), field(''), field(''), field('')]))).to.equal('count');
  });

  it('reads a table that changes its size', () => {
    const decoder = new HpackDecoder(LIMITS);
    decode(decoder, '4001610162');

    expect(decode(decoder, '20be')).to.equal('compression');
    expect(decode(new HpackDecoder(LIMITS), '203fe11f4001610162be')).to.deep.equal(['a', 'b', 'a', 'b']);
  });

  it('gives the same string for a value that a client repeats, and another one for another value', () => {
    const decoder = new HpackDecoder(LIMITS);
    const read = (value: string): unknown => decode(decoder, block([['authorization', value]]));

    for (let round = 0; round < 4; round += 1) {
      for (const value of [`Bearer ${'x'.repeat(600)}`, `Bearer ${'x'.repeat(300)}y${'x'.repeat(299)}`, 'Basic a'])
        expect(read(value)).to.deep.equal(['authorization', value]);
    }
  });

  it('reads back what the encoder writes', () => {
    const name = fc.stringMatching(/^[a-z0-9!#$%&'*+.^_`|~-]{1,40}$/);
    const value = fc.stringMatching(/^[\t\x20-\x7e\x80-\xff]{0,300}$/);
    const known = fc.constantFrom(
      [':status', '200'],
      [':method', 'PUT'],
      ['cookie', 'a=b'],
      ['accept-encoding', 'gzip, deflate'],
      ['host', ''],
    );
    fc.assert(
      fc.property(fc.array(fc.oneof(fc.tuple(name, value), known), { maxLength: 10 }), (fields) => {
        const out = new ByteWriter();
        out.frameHead(0, FRAME.headers, 0, 1);
        for (const [key = '', text = ''] of fields) encodeField(out, key, text);
        const bytes = out.takeBlock();

        expect(new HpackDecoder({ listBytes: 100_000, fields: 100 }).decode(bytes, 0, bytes.length)).to.deep.equal(fields.flat());
      }),
    );
  });

  it('takes any bytes without an error, and says the same of them each time', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 60 }), { maxLength: 5 }), (blocks) => {
        const [one, other] = [new HpackDecoder(LIMITS), new HpackDecoder(LIMITS)];
        for (const bytes of blocks) expect(decode(one, Buffer.from(bytes))).to.deep.equal(decode(other, Buffer.from(bytes)));
      }),
    );
  });
});
