-- Documents the messages that pass: which loggers, types and versions there are, and which fields they have.
--
-- Configuration: none.
--
--   [SyncMessageSchema]
--   type = "SandboxFilter"
--   filename = "lua_filters/heka_message_schema.lua"
--   message_matcher = "Logger != 'SyncMessageSchema' && Logger =~ /^Sync/"
--   ticker_interval = 60
--   preserve_data = true
--
-- Messages: at each tick a heka.sandbox-output, payload_type "txt", payload_name "Message Schema": one line for each
-- logger, type, version and field, each deeper in. A number in brackets counts messages; a field that is not in all
-- messages of its version is "optional", one whose value type varies is a "mismatch".

local sort = require("table").sort

local read_message, read_next_field = read_message, read_next_field
local add_to_payload, inject_payload, pairs = add_to_payload, inject_payload, pairs

local MISMATCH = -1
local KINDS = { [MISMATCH] = "mismatch", [0] = "string", [1] = "string", [2] = "number", [3] = "number", [4] = "bool" }

-- Every level: { count = messages, children = { [name] = next level } }; a field: { count, kind, last = message }.
schema = { count = 0, children = {} }

local function count_child(parent, name)
    local child = parent.children[name]
    if not child then
        child = { count = 0, children = {} }
        parent.children[name] = child
    end
    child.count = child.count + 1
    return child
end

function process_message()
    local logger = count_child(schema, read_message("Logger"))
    local version = count_child(count_child(logger, read_message("Type")), read_message("EnvVersion"))
    local message, fields = version.count, version.children

    local kind, name = read_next_field()
    while kind do
        local field = fields[name]
        if not field then
            fields[name] = { count = 1, kind = kind, last = message }
        else
            if field.kind ~= kind then field.kind = MISMATCH end
            -- A field may stand in a message more than once.
            if field.last ~= message then
                field.count = field.count + 1
                field.last = message
            end
        end
        kind, name = read_next_field()
    end
    return 0
end

local function sorted_names(children)
    local names = {}
    for name in pairs(children) do names[#names + 1] = name end
    sort(names)
    return names
end

local function put_fields(version)
    local names = sorted_names(version.children)
    for i = 1, #names do
        local field = version.children[names[i]]
        add_to_payload("            ", names[i], " (", KINDS[field.kind] or "unknown")
        if field.count ~= version.count then
            add_to_payload(" - optional [", field.count, "]")
        end
        add_to_payload(")\n")
    end
end

local function put_versions(kind)
    local names = sorted_names(kind.children)
    for i = 1, #names do
        local version = kind.children[names[i]]
        add_to_payload("         ", names[i] == "" and "-no version-" or names[i], " [", version.count, "]\n")
        put_fields(version)
    end
end

local function put_types(logger)
    local names = sorted_names(logger.children)
    for i = 1, #names do
        local kind = logger.children[names[i]]
        add_to_payload("    ", names[i] == "" and "-no type-" or names[i], " [", kind.count, "]\n")
        put_versions(kind)
    end
end

function timer_event()
    add_to_payload("Logger -> Type -> EnvVersion -> Field Attributes.\n",
        "The number in brackets is the number of occurrences of each logger/type/attribute.\n\n")
    local names = sorted_names(schema.children)
    for i = 1, #names do
        local logger = schema.children[names[i]]
        add_to_payload(names[i] == "" and "-no logger-" or names[i], " [", logger.count, "]\n")
        put_types(logger)
    end
    inject_payload("txt", "Message Schema")
end
