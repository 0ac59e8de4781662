/* Reading the original destination of a connection through a C library that the test stands in for. */
import { Socket } from 'node:net';
import { expect } from 'chai';
import { openOriginalDestination } from '../../../../src/agent/listener/original-destination.ts';

const FAILS = -1;

describe('openOriginalDestination', () => {
  const memory = new Map<bigint, ArrayBufferView>();
  let asked: readonly number[][] = [];
  /** What getsockopt writes; a number: what it returns. */
  let answer: readonly number[] | number = FAILS;

  const ffi = {
    getRawPointer: (view: ArrayBufferView): bigint => {
      const address = BigInt(memory.size + 1);
      memory.set(address, view);
      return address;
    },
    dlopen: () => ({
      functions: {
        getsockopt: (fd: number, level: number, option: number, value: bigint): number => {
          asked = [...asked, [fd, level, option]];
          if (typeof answer === 'number') return answer;
          (memory.get(value) as Buffer).set(answer);
          return 0;
        },
      },
    }),
  };
  const opened = openOriginalDestination(() => ffi);
  const read = (handle: unknown, localAddress: string): unknown => {
    if (!('read' in opened)) throw new Error(opened.problem);
    asked = [];
    const socket = Object.defineProperty(new Socket(), 'localAddress', { value: localAddress });
    return opened.read(Object.defineProperty(socket, '_handle', { value: handle }));
  };

  it('reads an address and port of IPv4, also behind a mapped address', () => {
    answer = [2, 0, 0x15, 0x38, 10, 1, 2, 3];
    expect(read({ fd: 7 }, '10.0.0.1')).to.deep.equal({ address: '10.1.2.3', port: 5432 });
    expect(asked).to.deep.equal([[7, 0, 80]]);
    expect(read({ fd: 7 }, '::ffff:10.0.0.1')).to.deep.equal({ address: '10.1.2.3', port: 5432 });
  });

  it('reads an address and port of IPv6', () => {
    answer = [10, 0, 0x1f, 0x90, 0, 0, 0, 0, 0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9];
    expect(read({ fd: 8 }, 'fd00::1')).to.deep.equal({ address: '2001:db8::9', port: 8080 });
    expect(asked).to.deep.equal([[8, 41, 80]]);
  });

  it('knows none when the connection was not redirected', () => {
    answer = FAILS;
    expect(read({ fd: 7 }, '10.0.0.1')).to.equal(undefined);
    expect(asked).to.have.length(1);
  });

  for (const handle of [null, undefined, 7, {}, { fd: -1 }, { fd: '7' }]) {
    it(`knows none, without asking the system, of a socket with the handle ${JSON.stringify(handle)}`, () => {
      answer = [2, 0, 0x15, 0x38, 10, 1, 2, 3];
      expect(read(handle, '10.0.0.1')).to.equal(undefined);
      expect(asked).to.deep.equal([]);
    });
  }

  it('says what is missing', () => {
    expect(openOriginalDestination(() => undefined))
      .to.have.property('problem')
      .that.includes('has no module node:ffi');
    const broken = openOriginalDestination(() => ({
      ...ffi,
      dlopen: () => {
        throw new Error('no library');
      },
    }));
    expect(broken).to.deep.equal({ problem: 'node:ffi cannot call getsockopt: no library' });
  });
});
