import { expect } from 'chai';
import { Command } from 'commander';
import { addCurlOptions, type CurlOptions, curlNotes, curlRequest } from '../../../../src/cli/input/curl-options.ts';

function parse(...args: readonly string[]): CurlOptions {
  return addCurlOptions(new Command().exitOverride()).parse(args, { from: 'user' }).opts<CurlOptions>();
}

describe('curlRequest', () => {
  it('sends -d, --data-raw and --data-binary as one form, in the order given', () => {
    expect(curlRequest('/x', parse('-d', 'a=b', '--data-raw', 'c=d', '--data-binary', 'e'))).to.deep.equal({
      path: '/x',
      method: 'POST',
      headers: [['Content-Type', 'application/x-www-form-urlencoded']],
      body: 'a=b&c=d&e',
    });
  });

  it('appends data to the query with -G', () => {
    expect(curlRequest('/x?z=1', parse('-G', '-d', 'a=b', '--data-urlencode', 'c=d'))).to.deep.equal({
      path: '/x?z=1&a=b&c=d',
      method: 'GET',
      headers: [],
    });
  });

  it('sends JSON, HEAD, credentials and cookies', () => {
    expect(curlRequest('/', parse('--json', '{}'))).to.deep.include({ method: 'POST', body: '{}' });
    expect(curlRequest('/', parse('-I', '-u', 'a:b', '-b', 'c=d', '-A', 'me', '-e', 'http://r'))).to.deep.equal({
      path: '/',
      method: 'HEAD',
      headers: [
        ['Authorization', 'Basic YTpi'],
        ['User-Agent', 'me'],
        ['Referer', 'http://r'],
        ['Cookie', 'c=d'],
      ],
    });
  });

  it('ignores flags that do not change the request', () => {
    expect(curlRequest('/', parse('-sSkv', '-w', '%{http_code}', '--http1.1', '-m', '3'))).to.deep.equal({
      path: '/',
      method: 'GET',
      headers: [],
    });
  });

  for (const [data, sent] of [
    ['q=a b&c', 'q=a%20b%26c'],
    ['q=\u00e9', 'q=%C3%A9'],
    ['a b', 'a%20b'],
    ['=a=b', 'a%3Db'],
    ["q=it's(*)!", 'q=it%27s%28%2A%29%21'],
    ['q=-._~x', 'q=-._~x'],
  ] as const) {
    it(`percent-encodes the content of --data-urlencode ${data}, and of --url-query`, () => {
      expect(curlRequest('/x', parse('-G', '--data-urlencode', data)).path).to.equal(`/x?${sent}`);
      expect(curlRequest('/x', parse('--data-urlencode', data)).body).to.equal(sent);
      expect(curlRequest('/x', parse('--url-query', data)).path).to.equal(`/x?${sent}`);
    });
  }

  it('asks for compressed content with --compressed, and sends --oauth2-bearer and --url-query', () => {
    expect(curlRequest('/', parse('--compressed')).headers).to.deep.equal([['Accept-Encoding', 'deflate, gzip, br, zstd']]);
    expect(curlRequest('/', parse('--oauth2-bearer', 'a.b.c')).headers).to.deep.equal([['Authorization', 'Bearer a.b.c']]);
    expect(curlRequest('/x', parse('--url-query', 'a=b', '--url-query', '+c=d')).path).to.equal('/x?a=b&c=d');
  });

  for (const [flag, hint] of [
    ['--next', 'one request'],
    ['--http3', 'HTTP/1.1'],
    ['--digest', 'Authorization'],
    ['-r0-9', 'Range'],
    ['--key=k.pem', '--peer'],
  ] as const) {
    it(`names what to do instead of ${flag}`, () => {
      expect(() => parse(flag)).to.throw(hint);
    });
  }
});

describe('curlNotes', () => {
  it('names the flags that do not change the decision, each once', () => {
    expect(
      curlNotes(parse('-sS', '-s', '--resolve', 'a:443:127.0.0.1', '-x', 'http://proxy:3128', '--tlsv1.2', '--retry', '3')),
    ).to.deep.equal(['flags of curl that do not change the decision: --silent, --show-error, --resolve, --proxy, --tlsv1.2, --retry']);
  });

  it('is empty without one of them', () => {
    expect(curlNotes(parse('-d', 'a'))).to.deep.equal([]);
  });
});
