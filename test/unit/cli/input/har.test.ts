import { expect } from 'chai';
import { CommandError } from '../../../../src/cli/context/command-context.ts';
import { parseHar } from '../../../../src/cli/input/har.ts';

function parse(request: object): ReturnType<typeof parseHar>[number] | undefined {
  return parseHar(JSON.stringify({ log: { entries: [{ request }] } }), 'a.har')[0];
}

describe('parseHar', () => {
  it('reads method, URL, headers and body', () => {
    const request = {
      method: 'POST',
      url: 'http://web.foo:8080/a?b=c#d',
      headers: [{ name: 'X-A', value: 'b' }],
      postData: { mimeType: 'text/plain', text: 'body' },
    };

    expect(parse(request)).to.deep.equal({
      method: 'POST',
      path: '/a?b=c',
      host: 'web.foo:8080',
      dialed: { port: 8080, isExplicit: true },
      headers: [['X-A', 'b']],
      body: 'body',
    });
  });

  it('uses the Host header rather than the host of the URL', () => {
    const spec = parse({ method: 'GET', url: 'http://web.foo/', headers: [{ name: 'host', value: 'other' }] });

    expect(spec).to.deep.equal({ method: 'GET', path: '/', dialed: { port: 80, isExplicit: false }, headers: [['host', 'other']] });
  });

  it('drops pseudo headers and headers of the connection', () => {
    const names = [':path', ':authority', 'Connection', 'Content-Length', 'transfer-encoding', 'x-kept'];
    const spec = parse({ method: 'GET', url: '/', headers: names.map((name) => ({ name, value: '1' })) });

    expect(spec?.headers).to.deep.equal([['x-kept', '1']]);
  });

  for (const [name, text, message] of [
    ['invalid JSON', '{', /^a\.har: not JSON: /],
    ['JSON of another form', '{"log": {}}', /^a\.har: not a HAR file: log\.entries: /],
  ] as const) {
    it(`throws a CommandError that names the file for ${name}`, () => {
      expect(() => parseHar(text, 'a.har')).to.throw(CommandError, message);
    });
  }
});
