// nginx with one worker, as origin and as contender.
import { launch } from './native-server.mjs'

/**
 * @param http `(folder, port) => text` inside the `http` block
 * @param files `name: content` of what it serves, if anything
 */
export function nginx(http, files = {}) {
  const configuration = (folder, port) => ({ ...files, 'nginx.conf': whole(http(folder, port)) })
  return launch('nginx', configuration, (folder) => [
    ...['-e', 'stderr'],
    ...['-p', folder],
    ...['-c', `${folder}/nginx.conf`],
  ])
}

// By default a connection ends after 1,000 requests, and every thousandth request would measure a new one.
const whole = (http) => `
daemon off;
worker_processes 1;
error_log stderr error;
pid nginx.pid;
events { worker_connections 4096; }
http {
  access_log off;
  keepalive_requests 1000000000;
  keepalive_timeout 1h;
  client_body_temp_path body;
  proxy_temp_path proxy;
  fastcgi_temp_path fastcgi;
  uwsgi_temp_path uwsgi;
  scgi_temp_path scgi;
  default_type text/plain;
${http}
}
`
