import { expect } from 'chai';
import { isPeer, type ReadRequest, readHttpText, readSpec } from '../../../../src/cli/input/request-spec.ts';

type Accepted = Extract<ReadRequest, { readonly kind: 'request' }>['request'];

function accepted(read: ReadRequest): Accepted {
  if (read.kind !== 'request') throw new Error(read.hint ?? read.details);
  return read.request;
}

function hintOf(read: ReadRequest): string | undefined {
  return read.kind === 'request' ? undefined : read.hint;
}

/** Values of a header, in order. */
function values({ headers }: Accepted, name: string): readonly string[] {
  return headers.filter((_, index) => index % 2 === 1 && headers[index - 1]?.toLowerCase() === name);
}

describe('readSpec', () => {
  it('fills in defaults', () => {
    const request = accepted(readSpec({}, 'web.foo'));

    expect(request).to.deep.include({ method: 'GET', target: '/', version: '1.1', hasBody: false });
    expect(values(request, 'host')).to.deep.equal(['web.foo']);
    expect(request.connection).to.deep.equal({ sourceIp: '192.0.2.1', destinationIp: '', destinationPort: 80, sni: '', tls: false });
  });

  it('uses a host or a Host header rather than the default', () => {
    expect(values(accepted(readSpec({ host: 'a' }, 'd')), 'host')).to.deep.equal(['a']);
    expect(values(accepted(readSpec({ headers: { HOST: 'b' } }, 'd')), 'host')).to.deep.equal(['b']);
  });

  it('announces the length of a body', () => {
    const request = accepted(readSpec({ method: 'PUT', body: 'é' }, 'd'));

    expect([request.hasBody, values(request, 'content-length')]).to.deep.equal([true, ['2']]);
  });

  it('keeps the order of header pairs and expands arrays of values', () => {
    const pairs = accepted(
      readSpec(
        {
          headers: [
            ['a', '1'],
            ['b', '2'],
            ['a', '3'],
          ],
        },
        'd',
      ),
    );
    const map = accepted(readSpec({ headers: { a: ['1', '3'] } }, 'd'));

    expect([values(pairs, 'a'), values(map, 'a')]).to.deep.equal([
      ['1', '3'],
      ['1', '3'],
    ]);
  });

  it('describes the connection, with the scheme added to a SPIFFE identity', () => {
    const spec = { sourceIp: '10.0.0.1', destinationIp: '10.0.0.2', port: 8080, peer: 'td/ns/foo/sa/x', sni: 'A.Example' };
    const { connection } = accepted(readSpec(spec, 'd'));

    expect(connection).to.deep.equal({
      sourceIp: '10.0.0.1',
      destinationIp: '10.0.0.2',
      destinationPort: 8080,
      sni: 'a.example',
      tls: true,
      peer: { uris: ['spiffe://td/ns/foo/sa/x'], dnsNames: [], subject: '' },
    });
  });

  for (const [name, spec] of [
    ['the method', { method: 'GET\r\nX: y' }],
    ['the path', { path: '/a\nb' }],
    ['a header', { headers: { a: 'b\r\nX: y' } }],
  ] as const) {
    it(`rejects a line break in ${name}`, () => {
      expect(hintOf(readSpec(spec, 'd'))).to.match(/^there is a line break in "/);
    });
  }

  it('adds a hint about an unsupported method', () => {
    expect(hintOf(readSpec({ method: 'FETCH' }, 'd'))).to.equal('agents do not support the method FETCH');
  });
});

describe('readHttpText', () => {
  it('accepts LF line ends, leading empty lines and a body, and appends headers', () => {
    const request = accepted(readHttpText('\n\nGET /x HTTP/1.1\nHost: a\nX: 1\n\nbody', {}, [['X', '2']]));

    expect([request.target, values(request, 'x')]).to.deep.equal(['/x', ['1', '2']]);
  });

  it('adds a hint with the line that is not a header', () => {
    expect(hintOf(readHttpText('GET /x HTTP/1.1\nHost: a\noops\n', {}))).to.equal('line 3 is not a header: expected Name: value');
  });
});

describe('isPeer', () => {
  for (const [text, isValid] of [
    ['spiffe://cluster.local/ns/foo/sa/x', true],
    ['cluster.local/ns/foo/sa/x', true],
    ['https://a.example', true],
    ['sleep', false],
    ['a/ns/foo', false],
    ['', false],
  ] as const) {
    it(`${isValid ? 'accepts' : 'rejects'} "${text}"`, () => {
      expect(isPeer(text)).to.equal(isValid);
    });
  }
});
