-- Routes requests by a table that the controller writes; loaded once per worker, see `load`.
local balancer = require "ngx.balancer"
local ssl = require "ngx.ssl"

local M = {}
local routes = { hosts = {}, backends = {}, certificates = {} }
local turns = {} -- by backend: how many requests it has been given
local faults = {} -- requests that are answered with an error instead, for tests of what follows

local function read(path)
    local file, problem = io.open(path, "rb")
    if not file then return nil, problem end
    local content = file:read("*a")
    file:close()
    return content
end

local function certificate(path)
    local pem, problem = read(path)
    if not pem then return nil, problem end
    local chain, chain_problem = ssl.parse_pem_cert(pem)
    if not chain then return nil, chain_problem end
    local key, key_problem = ssl.parse_pem_priv_key(pem)
    if not key then return nil, key_problem end
    return { chain = chain, key = key }
end

-- Take the table at `path` from the next request on. Answers nil and the problem where it cannot be used.
function M.load(path)
    local chunk, problem = loadfile(path)
    if not chunk then return nil, problem end
    setfenv(chunk, {})
    local fresh = chunk()
    fresh.certificates = {}
    for host, pem in pairs(fresh.pems) do
        local pair, reason = certificate(pem)
        if pair then
            fresh.certificates[host] = pair
        else
            ngx.log(ngx.ERR, "certificate of ", host, ": ", reason)
        end
    end
    for backend in pairs(turns) do
        if not fresh.backends[backend] then turns[backend] = nil end
    end
    routes = fresh
    return true
end

local function of_host(entries, host)
    return entries[host] or entries["*" .. (host:match("^[^.]*(%..+)$") or "")]
end

local function matches(entry, uri)
    local path = entry.path
    if entry.exact then return uri == path end
    if path:sub(-1) == "/" then path = path:sub(1, -2) end
    if uri:sub(1, #path) ~= path then return false end
    local following = uri:sub(#path + 1, #path + 1)
    return following == "" or following == "/"
end

local function find(host, uri)
    for _, entry in ipairs(of_host(routes.hosts, host) or routes.hosts[""] or {}) do
        if matches(entry, uri) then return entry end
    end
end

-- Put a fault in place, as the control port is asked to: requests for `host` whose path begins with `path` are
-- answered with `status`, a `share` of them (0 to 1), at most `count` (0: any number). Without `host`: no faults.
function M.inject(wanted)
    if not wanted.host then
        faults = {}
        return
    end
    faults[#faults + 1] = {
        host = wanted.host,
        path = wanted.path or "/",
        status = tonumber(wanted.status) or 503,
        share = tonumber(wanted.share) or 1,
        left = tonumber(wanted.count) or 0,
    }
end

local function fault(host, uri)
    for index, item in ipairs(faults) do
        if item.host == host and uri:sub(1, #item.path) == item.path and math.random() < item.share then
            if item.left == 1 then table.remove(faults, index) else item.left = item.left - 1 end
            return item.status
        end
    end
end

-- Choose the route of a request, or answer it at once.
function M.route()
    local var = ngx.var
    local host = var.host
    local wrong = #faults > 0 and fault(host, var.uri)
    if wrong then return ngx.exit(wrong) end
    local entry = find(host, var.uri)
    if not entry then return ngx.exit(ngx.HTTP_NOT_FOUND) end
    var.service = entry.backend
    if entry.redirect and var.scheme == "http" then
        return ngx.redirect("https://" .. host .. var.request_uri, 308)
    end
    if entry.body > 0 and (tonumber(var.http_content_length) or 0) > entry.body then
        return ngx.exit(413)
    end
    if #routes.backends[entry.backend] == 0 then return ngx.exit(ngx.HTTP_SERVICE_UNAVAILABLE) end
    if entry.vhost ~= "" then var.upstream_host = entry.vhost end
    if entry.secure then var.upstream_scheme = "https" end
    ngx.ctx.entry = entry
end

-- Choose the peer of a request: in turn, and after a failed connection one that was not tried yet.
function M.balance()
    local context = ngx.ctx
    local entry = context.entry
    local peers = routes.backends[entry.backend] or {}
    if #peers == 0 then return ngx.exit(ngx.HTTP_SERVICE_UNAVAILABLE) end
    if not context.tried then
        context.tried = {}
        balancer.set_more_tries(2)
        balancer.set_timeouts(entry.connect, entry.send, entry.read)
    end
    local turn = turns[entry.backend] or 0
    local chosen
    for step = 1, #peers do
        local index = (turn + step - 1) % #peers + 1
        chosen = chosen or index
        if not context.tried[peers[index][1]] then
            chosen = index
            break
        end
    end
    turns[entry.backend] = chosen
    context.tried[peers[chosen][1]] = true
    local done, problem = balancer.set_current_peer(peers[chosen][1], peers[chosen][2])
    if not done then
        ngx.log(ngx.ERR, "peer of ", entry.backend, ": ", problem)
        return ngx.exit(ngx.HTTP_INTERNAL_SERVER_ERROR)
    end
end

-- Give a TLS client the certificate of the name it asks for; for others nginx has the default one.
function M.certificate()
    local name = ssl.server_name()
    local pair = name and of_host(routes.certificates, name:lower())
    if not pair then return end
    ssl.clear_certs()
    local done, problem = ssl.set_cert(pair.chain)
    if done then done, problem = ssl.set_priv_key(pair.key) end
    if not done then
        ngx.log(ngx.ERR, "certificate of ", name, ": ", problem)
        return ngx.exit(ngx.ERROR)
    end
end

return M
