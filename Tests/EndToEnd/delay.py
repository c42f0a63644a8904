"""A relay with latency: delay.py LISTEN TARGET SECONDS relays TCP connections and delays each byte."""

import asyncio
import sys

# The number of bytes in flight in one direction; beyond it the sender waits, as for a full window.
WINDOW = 4 << 20


async def carry(reader, writer, seconds):
    loop = asyncio.get_running_loop()
    queue = asyncio.Queue(maxsize=WINDOW >> 16)

    async def deliver():
        while True:
            due, data = await queue.get()
            await asyncio.sleep(max(0, due - loop.time()))
            if not data:
                break
            writer.write(data)
            await writer.drain()
        writer.write_eof()

    delivery = asyncio.create_task(deliver())
    try:
        while True:
            data = await reader.read(1 << 16)
            await queue.put((loop.time() + seconds, data))
            if not data:
                break
        await delivery
    except (ConnectionError, OSError):
        delivery.cancel()
        writer.close()


async def main(listen, target, seconds):
    async def accept(reader, writer):
        host, port = target.split(":")
        try:
            far_reader, far_writer = await asyncio.open_connection(host, int(port))
        except OSError:
            writer.close()
            return
        await asyncio.gather(carry(reader, far_writer, seconds), carry(far_reader, writer, seconds))
        writer.close()
        far_writer.close()

    host, port = listen.split(":")
    server = await asyncio.start_server(accept, host, int(port))
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], float(sys.argv[3])))
