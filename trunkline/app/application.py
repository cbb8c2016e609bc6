"""One worker's parts: settings in, an ASGI application out."""

from __future__ import annotations

import asyncio
import datetime as dt
import functools
import gc
import math
import os
from collections.abc import Coroutine
from pathlib import Path

from trunkline import __version__, clock, config, observe
from trunkline.app.money import Money
from trunkline.catalog.catalog import load_catalog
from trunkline.config import Changes, Settings
from trunkline.console.pages import ConsoleServices, console
from trunkline.errors import SettingsInvalid, TrunklineError
from trunkline.http import board, money, organization, problems
from trunkline.http.admin import AdminServices, ProviderStatus, Reloaded, Status, create_admin
from trunkline.http.asgi import Application, Receive, Scope, Send
from trunkline.http.board import Board
from trunkline.http.conversations import ConversationRoutes
from trunkline.http.cors import Cors
from trunkline.http.counting import CountRoutes
from trunkline.http.door import Door
from trunkline.http.facts import FactHeaders
from trunkline.http.forwarding import ForwardingRoutes
from trunkline.http.gemini import GeminiRoutes
from trunkline.http.inference import InferenceRoutes
from trunkline.http.models import ModelRoutes
from trunkline.http.probes import Probes
from trunkline.http.response_calls import NearestBackground, ResponseCallRoutes, Services
from trunkline.http.responses import ResponseRoutes, StoredBackground
from trunkline.http.responses_socket import ResponsesSocketRoute, SocketLimits
from trunkline.http.server import Serving
from trunkline.observe import Metrics
from trunkline.pipeline.background import Runs
from trunkline.pipeline.call import LiveSettings, Pipeline
from trunkline.pipeline.compaction import Compacting
from trunkline.pipeline.counting import Counting
from trunkline.pipeline.forward import Forwarder
from trunkline.pipeline.identity import KeyTable
from trunkline.pipeline.record import Recorder
from trunkline.pipeline.responses import ResponseKeeper
from trunkline.ports.keys import KeyRecord
from trunkline.providers import credentials, discovery
from trunkline.providers.credentials import ProviderOptions
from trunkline.providers.pool import HttpTransport
from trunkline.providers.sandbox.transport import SandboxTransport
from trunkline.providers.transport import Transport
from trunkline.routing.table import Available, RouteTable
from trunkline.storage.rollups import keep_summed
from trunkline.storage.store import Store
from trunkline.storage.upkeep import keep_tidy

BESIDE = ("/admin", "/console", "/docs", "/openapi.json", "/llms.txt")
METRICS_FOLDER = "metrics"
FILE_WATCH_S = 1.0

log = observe.logger("app")


def create(settings: Settings, serving: Serving) -> Application:
    """The ASGI application of one worker. Raises SettingsInvalid, StoreUnavailable."""
    return App(settings, serving).door


class App:
    """One worker's parts, in the order in which they need each other."""

    def __init__(self, settings: Settings, serving: Serving) -> None:
        self.settings = settings
        self.serving = serving
        self.started_at = clock.now_s()
        observe.configure(settings.log)
        self.metrics = Metrics()
        self.board = Board(self.metrics, settings.data_dir / METRICS_FOLDER, str(os.getpid()))
        self.store = Store(settings.database, settings.keys, settings.data_dir)
        self.keys = KeyTable(self.store.serving_keys, self.store.digest, self.store.shape)
        self.keys.on_change = self._version_moved
        self.catalog = load_catalog(dt.datetime.fromtimestamp(clock.now_s(), dt.UTC).date())
        self.network = HttpTransport(settings.transport, settings.proxy)
        self.found: dict[str, ProviderOptions] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        transports: dict[str, Transport] = {"http": self.network, "https": self.network, "sandbox": SandboxTransport()}
        self.money = Money(self.store, lambda: self.settings)
        self.keys.beside = self.money.look
        recorder = Recorder(self.metrics, _status_of, self.money.requests)
        self.pipeline = Pipeline(self.keys, self._live(settings), transports, recorder, self.store.sidecar)
        self.forwarder = Forwarder(self.pipeline, transports, recorder, lambda: self.settings.uploads)
        self.counting = Counting(self.pipeline, transports, recorder)
        keeper = ResponseKeeper(
            self.store.responses, self.store.conversations, lambda: self.pipeline.settings.responses
        )
        self.runs = Runs(self.pipeline, keeper)
        compacting = Compacting(self.pipeline, keeper, transports, recorder)
        self.responses = Services(self.pipeline, keeper, self.runs, self.counting, compacting)
        self.door = self._door()
        for state in ("in_use", "idle", "waiting"):
            self.metrics.connections.of(state).read = functools.partial(self._connections, state)
        self.metrics.in_flight.read = lambda: float(serving.in_flight)
        self.metrics.key_table_age.read = self.keys.confirmed_age_s

    def _connections(self, state: str) -> float:
        return float(sum(getattr(stats, state) for stats in self.network.stats().values()))

    def _live(self, settings: Settings) -> LiveSettings:
        """What calls use of these settings. Raises SettingsInvalid."""
        # What the settings name, in whatever case, is theirs; an engine that was found does not contend for it.
        named = {name.casefold() for name in settings.providers}
        found = {name: options for name, options in self.found.items() if name not in named}
        configured = credentials.configured({**found, **settings.providers}, settings.environment_keys)
        upstreams = credentials.with_signers(configured, self.network)
        observe.conceal(secret for upstream in upstreams.values() for secret in upstream.secrets)
        available = Available(
            providers={name: upstream.row for name, upstream in upstreams.items()},
            aliases=settings.models,
            prices=settings.prices,
        )
        return LiveSettings(
            routes=RouteTable(self.catalog, available),
            upstreams=upstreams,
            timers=settings.timeouts,
            compat=settings.compat,
            responses=settings.responses,
        )

    def _door(self) -> Door:
        options = self.settings.server
        prefixes = (options.header_prefix, *options.header_aliases)
        door = Door(self.keys, Cors(options.cors_origins, prefixes) if options.cors_origins else None, self._lifespan)
        inference = InferenceRoutes(
            self.pipeline,
            FactHeaders(options.header_prefix, options.header_aliases),
            options.body_limit_bytes,
            _log_defect,
        )
        models = ModelRoutes(door, lambda: self.pipeline.settings.routes, self.money.markup_of)
        door.add("POST", "/v1/chat/completions", inference.chat_completions)
        door.add("POST", "/v1/messages", inference.messages)
        ForwardingRoutes(inference, self.forwarder).add_to(door)
        CountRoutes(inference, self.counting).add_to(door)
        GeminiRoutes(door, inference, self.counting).add_to(door)
        door.add("GET", "/v1/models", models.list)
        door.add_prefix("GET", "/v1/models/", models.show)
        background = NearestBackground(self.runs, StoredBackground(self.store.responses))
        ResponseRoutes(door, self.store.responses, background).add_to(door)
        ResponseCallRoutes(inference, self.responses).add_to(door)
        limits = SocketLimits(options.body_limit_bytes)
        ResponsesSocketRoute(door, self.pipeline, self.responses.keeper, limits, _log_defect).add_to(door)
        ConversationRoutes(door, self.store.conversations, options.body_limit_bytes).add_to(door)
        probes = Probes(door, self.serving.readiness, self.board.render, behind_proxy=options.behind_proxy)
        probes.add_to(door)
        services = AdminServices(identify=self._identify, reload=self._reload_everywhere, status=self._status)
        pages = ConsoleServices(status=self._status, redeem_link=self._redeem_link, session_secret=self.store.pepper)
        admin = create_admin(services, console(pages), self.money.routes(self._callable))
        door.put_beside(admin, (*BESIDE, *organization.PREFIXES, *money.PREFIXES))
        return door

    def _callable(self) -> list[str]:
        """The ids and aliases that can be called now."""
        return [line.id for line in self.pipeline.settings.routes.listing()]

    async def _lifespan(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        try:
            self.pipeline.treasury = await self.money.open()
            await self.keys.start()
        except TrunklineError as error:
            log.error("start_failed", reason=error.message)  # noqa: TRY400 - the sentence says it all
            await send({"type": "lifespan.startup.failed", "message": error.message})
            return
        self.board.take_over()
        self._spawn(board.watch(self.metrics, self.board if self.settings.server.workers > 1 else None))
        self._spawn(self._watch_file())
        self._spawn(self._discover())
        self._spawn(keep_tidy(self.store, self.money.reader.sweep))
        self._spawn(keep_summed(self.store.threads))
        # What is alive now (modules, catalog, routes) stays so: the collector need not walk it for every generation.
        gc.collect()
        gc.freeze()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        for task in self._tasks:
            task.cancel()
        await self.runs.stop()
        await self.money.close()
        await self.keys.stop()
        await self.network.close()
        self.store.close()
        await send({"type": "lifespan.shutdown.complete"})

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _version_moved(self) -> None:
        """Something changed in the store; a change of the settings is announced there too."""
        self._spawn(self._reload_quietly())

    async def _watch_file(self) -> None:
        """A changed file counts without anybody saying so."""
        path = self.settings.path
        if path is None:
            return
        # What was read at the start may have changed before this look, so the first one counts as a change.
        seen: tuple[int, int] | None = None
        while True:
            await asyncio.sleep(FILE_WATCH_S)
            stamp = await asyncio.to_thread(_stamp, path)
            if stamp != seen:
                seen = stamp
                await self._reload_quietly()

    async def _reload_quietly(self) -> None:
        try:
            changes = await self._reload()
        except SettingsInvalid as error:
            log.error("reload_refused", reason=error.message, detail="the old settings stay")  # noqa: TRY400
            return
        if changes.applied or changes.needs_restart:
            log.info("reloaded", applied=changes.applied, needs_restart=changes.needs_restart)

    async def _reload(self) -> Changes:
        """This worker's settings, read anew. Calls in flight keep the ones they began with."""
        settings, changes = await asyncio.to_thread(config.reload, self.settings)
        if changes.applied:
            self.pipeline.settings = self._live(settings)
            observe.configure(settings.log)
        self.settings = settings
        return changes

    async def _reload_everywhere(self) -> Reloaded:
        changes = await self._reload()
        await asyncio.to_thread(self.store.serving_keys.raise_version)
        return Reloaded(applied=changes.applied, unchanged=changes.unchanged, needs_restart=changes.needs_restart)

    async def _discover(self) -> None:
        """Local engines join the providers once they are found."""
        if not self.settings.discovery.local:
            return
        options = self.settings.server
        self.found = await discovery.find_engines(self.network, [(options.host, options.port)])
        if self.found:
            self.pipeline.settings = self._live(self.settings)

    async def _identify(self, scope: Scope) -> KeyRecord:
        return await self.door.identify(scope, dict(scope["headers"]))

    async def _redeem_link(self, token: str) -> bool:
        return await asyncio.to_thread(self.store.admin_links.redeem, token)

    def _status(self) -> Status:
        live = self.pipeline.settings
        listed = list(live.routes.listing())
        age_s = self.keys.confirmed_age_s()
        readiness = self.serving.readiness
        return Status(
            version=__version__,
            worker_pid=os.getpid(),
            started_at=self.started_at,
            uptime_s=clock.now_s() - self.started_at,
            ready=readiness.ready,
            draining=readiness.draining,
            key_table_age_s=None if math.isinf(age_s) else age_s,
            providers=tuple(
                ProviderStatus(
                    id=name,
                    name=upstream.row.name,
                    origin=f"{upstream.origin.scheme}://{upstream.origin.host}:{upstream.origin.port}",
                    models=sum(1 for line in listed if line.provider_id == name and not line.deployments),
                )
                for name, upstream in live.upstreams.items()
            ),
            models=sum(1 for line in listed if not line.deployments),
            aliases={line.id: line.deployments for line in listed if line.deployments},
        )


def _status_of(error: TrunklineError) -> int:
    return problems.shape_of(error).status


def _log_defect(call_id: str, error: BaseException) -> None:
    log.error("defect", call_id=call_id, exc_info=error)


def _stamp(path: Path) -> tuple[int, int] | None:
    """Changes whenever the file does; None while it is not there."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino
