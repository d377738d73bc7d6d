"""The Mask Studio as a page of its own, by Voilà: every visitor has a kernel, and nobody sees or runs code."""

from __future__ import annotations

import logging
import secrets
import socket
import threading
import webbrowser
from pathlib import Path

from jupyter_server.utils import url_path_join
from tornado.ioloop import IOLoop
from traitlets.config import Config
from voila.app import Voila
from voila.shutdown_kernel_handler import VoilaShutdownKernelHandler
from voila.tornado.handler import TornadoVoilaHandler

from faceinpaint.basics.errors import InputError
from faceinpaint.studio.limits import Farewell, FewVisitors, MeasuredConnection, Page

PAGE = Path(__file__).with_name("page.ipynb")
LARGEST_MESSAGE = 64_000_000  # bytes; the usual limit of 10 MB drops photos without a word
FORGOTTEN = 600  # seconds after which the kernel of a page that nobody looks at ends

# The browser gets nothing from elsewhere, though Voilà's template names a font on the web: what it waits for in vain
# would hold the page up. blob: is how widgets bring their JavaScript, eval how JupyterLab checks its settings.
ONLY_FROM_HERE = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; media-src 'self' blob:; font-src 'self' data:; connect-src 'self' blob: data:; "
    "frame-ancestors 'self'"
)


class Server(Voila):
    """Voilà, whose kernels end with their pages, and whose login is below base_url like all the rest."""

    def init_handlers(self) -> list[tuple]:
        ours = {VoilaShutdownKernelHandler: Farewell, TornadoVoilaHandler: Page}
        prefix = self.server_url.rstrip("/")
        return [
            (path if path.startswith(prefix) else prefix + path, ours.get(handler, handler), *rest)
            for path, handler, *rest in super().init_handlers()
        ]


def serve(host: str = "127.0.0.1", port: int = 8866, browser: bool = True, base_url: str = "/") -> None:
    """Serve the studio until Ctrl-C; once it listens its address is printed and opened in the browser.

    Whoever has the address, in which there is a new token each time, may use the studio; from other machines only
    where `host` is an address that they reach. Raises InputError where host and port can't be listened at.
    """
    require_free(host, port)
    token = secrets.token_urlsafe(24)
    server = Server(config=settings(host, port, token, base_url), config_file_paths=[])  # nobody's own settings
    server.initialize([])
    server.template_paths.insert(0, str(PAGE.parent))  # there lie our templates
    # Of a page that was left while its kernel started.
    logging.getLogger("asyncio").addFilter(lambda record: "Kernel died" not in str(record.exc_info))
    address = f"http://{visible(host)}:{port}{server.base_url}?token={token}"
    IOLoop.current().add_callback(print, f"The Mask Studio is at {address}\nCtrl-C ends it.", flush=True)
    if browser:
        opener = threading.Thread(target=webbrowser.open, args=[address], daemon=True)
        IOLoop.current().add_callback(opener.start)
    server.start()


def settings(host: str, port: int, token: str, base_url: str = "/") -> Config:
    """What Voilà is told."""
    config = Config()
    config.Voila.update({
        "ip": host, "port": port, "port_retries": 0, "open_browser": False, "notebook_path": str(PAGE),
        "base_url": url_path_join("/", base_url, "/"),
        "token": token, "log_level": "ERROR", "kernel_websocket_connection_class": MeasuredConnection,
        "tornado_settings": {
            "websocket_max_message_size": LARGEST_MESSAGE,
            "headers": {"Content-Security-Policy": ONLY_FROM_HERE, "Referrer-Policy": "no-referrer"},
        },
    })
    config.VoilaConfiguration.update({
        "template": "lab", "strip_sources": True, "show_tracebacks": False, "file_allowlist": ["^$"],
        "multi_kernel_manager_class": FewVisitors,
        "http_keep_alive_timeout": 2,  # seconds between writes, by which one notices who has left
    })
    config.IdentityProvider.update({"cookie_name": f"mask-studio-{port}"})  # a Jupyter around it has the usual one
    config.MappingKernelManager.update({"cull_idle_timeout": FORGOTTEN, "cull_interval": 60})
    return config


def require_free(host: str, port: int) -> None:
    """Raise InputError unless one may listen at host and port."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        with socket.socket(family, socket.SOCK_STREAM) as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind((host, port))
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"the studio can't listen at {host}, port {port} ({reason}): choose another --port") from None


def visible(host: str) -> str:
    """A host as it stands in an address."""
    if host in ("0.0.0.0", "::", ""):  # every address of this machine
        return socket.gethostname()
    return f"[{host}]" if ":" in host else host
