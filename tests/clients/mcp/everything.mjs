// A server of everything that the conformance suite asks for: node everything.mjs PORT. It says `ready` when it listens.
import { randomUUID } from "node:crypto";
import { setTimeout as wait } from "node:timers/promises";
import { Server } from "@modelcontextprotocol/sdk/server/index.js";
import { createMcpExpressApp } from "@modelcontextprotocol/sdk/server/express.js";
import { StreamableHTTPServerTransport } from "@modelcontextprotocol/sdk/server/streamableHttp.js";
import * as types from "@modelcontextprotocol/sdk/types.js";

const PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
const SOUND = "UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAIA+AAACABAAZGF0YQAAAAA=";

const text = (text) => ({ type: "text", text });
const image = { type: "image", data: PIXEL, mimeType: "image/png" };
const embedded = (uri, mimeType, text) => ({ type: "resource", resource: { uri, mimeType, text } });
const string = (more) => ({ type: "string", ...more });
const options = ["option1", "option2", "option3"];
const titled = [1, 2, 3].map((nth) => ({ const: `value${nth}`, title: `Choice ${nth}` }));

const elicit = (requestedSchema) => async (_, extra) => {
    const params = { message: "Please fill this in", requestedSchema: { type: "object", ...requestedSchema } };
    const left = await extra.sendRequest({ method: "elicitation/create", params }, types.ElicitResultSchema);
    return [text(`Elicitation completed: action=${left.action}, content=${JSON.stringify(left.content)}`)];
};

const tools = {
    test_simple_text: [{}, () => [text("This is a simple text response for testing.")]],
    test_image_content: [{}, () => [image]],
    test_audio_content: [{}, () => [{ type: "audio", data: SOUND, mimeType: "audio/wav" }]],
    test_embedded_resource: [{}, () => [embedded("test://embedded-resource", "text/plain", "This is an embedded resource content.")]],
    test_multiple_content_types: [{}, () => [
        text("Multiple content types test:"), image,
        embedded("test://mixed-content-resource", "application/json", '{"test":"data","value":123}'),
    ]],
    test_tool_with_logging: [{}, async (_, extra) => {
        for (const data of ["Tool execution started", "Tool processing data", "Tool execution completed"]) {
            await extra.sendNotification({ method: "notifications/message", params: { level: "info", data } });
            await wait(50);
        }
        return [text("Logged three times")];
    }],
    test_error_handling: [{}, () => { throw new Error("This tool intentionally returns an error for testing"); }],
    test_tool_with_progress: [{}, async (_, extra) => {
        const progressToken = extra._meta?.progressToken;
        for (const progress of [0, 50, 100]) {
            if (progressToken !== undefined) {
                await extra.sendNotification({ method: "notifications/progress", params: { progressToken, progress, total: 100 } });
            }
            await wait(50);
        }
        return [text("Done")];
    }],
    test_sampling: [{ prompt: string() }, async ({ prompt }, extra) => {
        const params = { messages: [{ role: "user", content: text(prompt) }], maxTokens: 100 };
        const left = await extra.sendRequest({ method: "sampling/createMessage", params }, types.CreateMessageResultSchema);
        return [text(`LLM response: ${left.content.text}`)];
    }],
    test_elicitation: [{ message: string() }, elicit({
        properties: { username: string({ description: "User's response" }), email: string({ description: "User's email address" }) },
        required: ["username", "email"],
    })],
    test_elicitation_sep1034_defaults: [{}, elicit({
        properties: {
            name: string({ default: "John Doe" }),
            age: { type: "integer", default: 30 },
            score: { type: "number", default: 95.5 },
            status: string({ enum: ["active", "inactive", "pending"], default: "active" }),
            verified: { type: "boolean", default: true },
        },
    })],
    test_client_elicitation_defaults: [{}, elicit({ properties: { name: string({ default: "John Doe" }) } })],
    test_elicitation_sep1330_enums: [{}, elicit({
        properties: {
            untitledSingle: string({ enum: options }),
            titledSingle: string({ oneOf: titled }),
            legacyEnum: string({ enum: ["opt1", "opt2", "opt3"], enumNames: ["Option One", "Option Two", "Option Three"] }),
            untitledMulti: { type: "array", items: string({ enum: options }) },
            titledMulti: { type: "array", items: { anyOf: titled } },
        },
    })],
    test_reconnection: [{}, async (_, extra) => {
        extra.closeSSEStream?.();
        await wait(100);
        return [text("Reconnected")];
    }],
};
const addresses = {
    name: "json_schema_2020_12_tool",
    description: "Tool with JSON Schema 2020-12 features",
    inputSchema: {
        $schema: "https://json-schema.org/draft/2020-12/schema",
        type: "object",
        $defs: { address: { type: "object", properties: { street: string(), city: string() } } },
        properties: { name: string(), address: { $ref: "#/$defs/address" } },
        additionalProperties: false,
    },
};

const prompts = {
    test_simple_prompt: [[], () => [text("This is a simple prompt for testing.")]],
    test_prompt_with_arguments: [["arg1", "arg2"], ({ arg1, arg2 }) => [text(`Prompt with arguments: arg1='${arg1}', arg2='${arg2}'`)]],
    test_prompt_with_embedded_resource: [["resourceUri"], ({ resourceUri }) => [
        embedded(resourceUri, "text/plain", "Embedded resource content for testing."),
        text("Please process the embedded resource above."),
    ]],
    test_prompt_with_image: [[], () => [image, text("Please analyze the image above.")]],
};

const resources = {
    "test://static-text": { mimeType: "text/plain", text: "This is the content of the static text resource." },
    "test://static-binary": { mimeType: "image/png", blob: PIXEL },
    "test://watched-resource": { mimeType: "text/plain", text: "Watched." },
};

function server() {
    const server = new Server({ name: "everything", version: "1.0.0" }, {
        capabilities: { tools: { listChanged: true }, prompts: {}, resources: { subscribe: true }, logging: {}, completions: {} },
    });
    server.setRequestHandler(types.ListToolsRequestSchema, () => ({
        tools: [...Object.entries(tools).map(([name, [properties]]) => ({
            name, description: `Tests ${name}`, inputSchema: { type: "object", properties, required: Object.keys(properties) },
        })), addresses],
    }));
    server.setRequestHandler(types.CallToolRequestSchema, async ({ params }, extra) => {
        const tool = tools[params.name]?.[1];
        if (!tool) throw new types.McpError(-32602, `unknown tool ${params.name}`);
        try {
            return { content: await tool(params.arguments ?? {}, extra) };
        } catch (error) {
            return { isError: true, content: [text(error.message)] };
        }
    });
    server.setRequestHandler(types.ListPromptsRequestSchema, () => ({
        prompts: Object.entries(prompts).map(([name, [names]]) => ({
            name, description: `Prompts with ${name}`, arguments: names.map((name) => ({ name, description: `The ${name}`, required: true })),
        })),
    }));
    server.setRequestHandler(types.GetPromptRequestSchema, ({ params }) => ({
        messages: prompts[params.name][1](params.arguments ?? {}).map((content) => ({ role: "user", content })),
    }));
    server.setRequestHandler(types.ListResourcesRequestSchema, () => ({
        resources: Object.entries(resources).map(([uri, { mimeType }]) => ({ uri, name: uri.slice(7), mimeType, description: "A resource" })),
    }));
    server.setRequestHandler(types.ListResourceTemplatesRequestSchema, () => ({
        resourceTemplates: [{ uriTemplate: "test://template/{id}/data", name: "template", mimeType: "application/json" }],
    }));
    server.setRequestHandler(types.ReadResourceRequestSchema, ({ params: { uri } }) => {
        const id = /^test:\/\/template\/(.+)\/data$/.exec(uri)?.[1];
        const found = id
            ? { mimeType: "application/json", text: JSON.stringify({ id, templateTest: true, data: `Data for ID: ${id}` }) }
            : resources[uri];
        if (!found) throw new types.McpError(-32002, "no such resource");
        return { contents: [{ uri, ...found }] };
    });
    server.setRequestHandler(types.SubscribeRequestSchema, () => ({}));
    server.setRequestHandler(types.UnsubscribeRequestSchema, () => ({}));
    server.setRequestHandler(types.SetLevelRequestSchema, () => ({}));
    server.setRequestHandler(types.CompleteRequestSchema, () => ({ completion: { values: ["testing"], total: 1, hasMore: false } }));
    return server;
}

/** What was sent, to be sent again to whoever comes back. */
class Events {
    events = [];
    async storeEvent(stream, message) {
        this.events.push([stream, message]);
        return `${this.events.length - 1}_${stream}`;
    }
    async getStreamIdForEventId(id) {
        return id.split("_")[1];
    }
    async replayEventsAfter(id, { send }) {
        const [last, stream] = [Number(id.split("_")[0]), id.split("_")[1]];
        for (const [nth, [of, message]] of this.events.entries()) {
            // What only primed a stream carries no message.
            if (nth > last && of === stream && Object.keys(message).length) await send(`${nth}_${of}`, message);
        }
        return stream;
    }
}

const sessions = new Map();
const app = createMcpExpressApp();
app.all("/mcp", async (request, response) => {
    const id = request.headers["mcp-session-id"];
    let transport = sessions.get(id);
    if (id && !transport) {
        return response.status(404).json({ jsonrpc: "2.0", id: null, error: { code: -32001, message: "Session not found" } });
    }
    if (!transport) {
        transport = new StreamableHTTPServerTransport({
            sessionIdGenerator: randomUUID,
            eventStore: new Events(),
            retryInterval: 100,
            onsessioninitialized: (id) => sessions.set(id, transport),
            onsessionclosed: (id) => sessions.delete(id),
        });
        await server().connect(transport);
    }
    await transport.handleRequest(request, response, request.body);
});
app.listen(Number(process.argv[2]), "127.0.0.1", () => console.log("ready"));
