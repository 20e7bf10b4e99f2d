"""A registry that keeps what is pushed to it in memory: enough of the distribution API for one image. Prints its port."""

import hashlib
import http.server
import re
import sys
import uuid

blobs, uploads, manifests = {}, {}, {}


def digest(body):
    return "sha256:" + hashlib.sha256(body).hexdigest()


class Registry(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def body(self):
        if self.headers.get("Transfer-Encoding") == "chunked":
            parts = []
            while size := int(self.rfile.readline().split(b";")[0], 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def answer(self, status, headers=None, body=b""):
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_GET(self):
        if self.path in ("/v2", "/v2/"):
            return self.answer(200)
        if found := re.search(r"/blobs/(sha256:\w+)", self.path):
            blob = blobs.get(found[1])
            return self.answer(404) if blob is None else self.answer(200, {"Docker-Content-Digest": found[1]}, blob)
        if found := re.search(r"/v2/(.+)/manifests/(.+)", self.path):
            kind, manifest = manifests.get((found[1], found[2]), (None, None))
            if manifest is None:
                return self.answer(404)
            return self.answer(200, {"Content-Type": kind, "Docker-Content-Digest": digest(manifest)}, manifest)
        return self.answer(404)

    do_HEAD = do_GET

    def do_POST(self):
        self.body()
        upload = uuid.uuid4().hex
        uploads[upload] = b""
        place = self.path.split("?")[0].rstrip("/") + "/" + upload
        self.answer(202, {"Location": place, "Docker-Upload-UUID": upload, "Range": "0-0"})

    def do_PATCH(self):
        upload = self.path.split("?")[0].rsplit("/", 1)[1]
        uploads[upload] += self.body()
        end = max(len(uploads[upload]) - 1, 0)
        self.answer(202, {"Location": self.path.split("?")[0], "Docker-Upload-UUID": upload, "Range": f"0-{end}"})

    def do_PUT(self):
        body = self.body()
        if found := re.search(r"/v2/(.+)/manifests/(.+)", self.path):
            kept = (self.headers.get("Content-Type"), body)
            manifests[found[1], found[2]] = manifests[found[1], digest(body)] = kept
            return self.answer(201, {"Docker-Content-Digest": digest(body)})
        upload = self.path.split("?")[0].rsplit("/", 1)[1]
        blob = uploads.pop(upload) + body
        blobs[digest(blob)] = blob
        return self.answer(201, {"Docker-Content-Digest": digest(blob)})


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Registry)
print(server.server_address[1], flush=True)
sys.stdout.close()
server.serve_forever()
