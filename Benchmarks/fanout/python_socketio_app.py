"""What a Python team would write instead of ws-emit: python-socketio's own server, behind uvicorn."""
import os

import socketio

server = socketio.AsyncServer(async_mode="asgi", cors_allowed_origins="*",
                              client_manager=socketio.AsyncRedisManager(os.environ["REDIS"], channel="flask-socketio"))
app = socketio.ASGIApp(server)


@server.event
async def join(sid, data):
    await server.enter_room(sid, data["room"])
    return {"ok": True}
