/* HTTP/1 heads in C: the common ones, read and written in one pass.
 *
 * `request` and `response` accept a part of what the Python twin accepts (codec.py, responses.py), with the same
 * result; for anything else, however well-formed, they return None and the twin decides. So nothing is refused or
 * answered here, and a doubt costs time but never safety. The rules are those of grammar.py: CRLF alone ends a
 * line, one blank separates the parts of a first line, no folding, no blank before the colon, one Host, one length.
 *
 * `message` joins a head (and what follows it) without a list of lines in between.
 */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <string.h>

/* Bits of workers/headers.py; compared with them when the module is loaded. */
enum { HOST = 1, CONTENT_LENGTH = 2, TRANSFER_ENCODING = 4, CONNECTION = 8, EXPECT = 16, UPGRADE = 32, HOP = 64,
       MANAGED = 128, UNDERSCORE = 256, PRAGMA = 512, DATE = 1024, TRAILER = 2048, TE = 4096, CHALLENGE = 65536 };
/* Headers of a request that ask for more than to be passed on, and those of a response. */
enum { ADMITTED = EXPECT | UPGRADE | MANAGED | UNDERSCORE | PRAGMA, SPECIAL = UPGRADE | TRAILER | PRAGMA | CHALLENGE };
enum { MOST_HEADERS = 256, LONGEST_LENGTH_DIGITS = 18 };
/* Lengths that are none. */
enum { NO_LENGTH = -1, CHUNKED = -2 };

/* What a byte may be part of. */
enum { NAME = 1, VALUE = 2, ORDINARY = 4, METHOD = 8 };
static unsigned char classes[256];

static void fill_classes(void)
{
    int byte;
    const char *more;
    for (byte = 0; byte < 256; byte++) {
        int letter = (byte >= 'A' && byte <= 'Z') || (byte >= 'a' && byte <= 'z');
        int digit = byte >= '0' && byte <= '9';
        classes[byte] = 0;
        if (letter || digit)
            classes[byte] |= NAME | ORDINARY;
        if (byte >= 'A' && byte <= 'Z')
            classes[byte] |= METHOD;
        if (byte == '\t' || (byte >= ' ' && byte != 127))
            classes[byte] |= VALUE;
    }
    for (more = "!#$%&'*+-.^_`|~"; *more; more++)
        classes[(unsigned char)*more] |= NAME;
    for (more = "-._~!$&'()*+,=:@/?"; *more; more++)
        classes[(unsigned char)*more] |= ORDINARY;
}

/* One header line: where its parts are, and what kind it is. */
typedef struct {
    const char *value;
    Py_ssize_t value_bytes;
    PyObject *name;
    long kind;
} Line;

/* Read the line at `at`: 1 if there is one, 0 at the empty line, -1 for what the twin has to look at, -2 with an
 * exception set. `next` is where the following line begins. The line's name is a new reference. */
static int read_line(const char *at, const char *end, PyObject *kinds, PyObject *classify, Line *line,
                     const char **next)
{
    const char *start = at, *last;
    PyObject *kind;
    if (end - at < 2)
        return -1;
    if (at[0] == '\r') {
        if (at[1] != '\n')
            return -1;
        *next = at + 2;
        return 0;
    }
    while (at < end && classes[(unsigned char)*at] & NAME)
        at++;
    if (at == start || at == end || *at != ':')
        return -1;
    last = at++;
    while (at < end && (*at == ' ' || *at == '\t'))
        at++;
    line->value = at;
    while (at < end && classes[(unsigned char)*at] & VALUE)
        at++;
    if (end - at < 2 || at[0] != '\r' || at[1] != '\n')
        return -1;
    *next = at + 2;
    while (at > line->value && (at[-1] == ' ' || at[-1] == '\t'))
        at--;
    line->value_bytes = at - line->value;
    line->name = PyBytes_FromStringAndSize(start, last - start);
    if (line->name == NULL)
        return -2;
    kind = PyDict_GetItemWithError(kinds, line->name);
    if (kind != NULL)
        line->kind = PyLong_AsLong(kind);
    else {
        if (PyErr_Occurred() || (kind = PyObject_CallOneArg(classify, line->name)) == NULL) {
            Py_DECREF(line->name);
            return -2;
        }
        line->kind = PyLong_AsLong(kind);
        Py_DECREF(kind);
    }
    if (line->kind == -1 && PyErr_Occurred()) {
        Py_DECREF(line->name);
        return -2;
    }
    return 1;
}

/* Append (name, value), taking over the name. */
static int keep_line(PyObject *kept, Line *line)
{
    PyObject *pair = PyTuple_New(2), *value;
    int failed;
    if (pair == NULL) {
        Py_DECREF(line->name);
        return -1;
    }
    PyTuple_SET_ITEM(pair, 0, line->name);
    value = PyBytes_FromStringAndSize(line->value, line->value_bytes);
    if (value == NULL) {
        Py_DECREF(pair);
        return -1;
    }
    PyTuple_SET_ITEM(pair, 1, value);
    failed = PyList_Append(kept, pair);
    Py_DECREF(pair);
    return failed;
}

static int says(const Line *line, const char *text)
{
    return line->value_bytes == (Py_ssize_t)strlen(text) && memcmp(line->value, text, line->value_bytes) == 0;
}

/* Digits alone as one would write them, no more than any machine counts; -1 for anything else. */
static long long length_of(const Line *line)
{
    long long length = 0;
    Py_ssize_t index;
    if (line->value_bytes < 1 || line->value_bytes > LONGEST_LENGTH_DIGITS)
        return -1;
    if (line->value[0] == '0' && line->value_bytes > 1)
        return -1;
    for (index = 0; index < line->value_bytes; index++) {
        if (line->value[index] < '0' || line->value[index] > '9')
            return -1;
        length = length * 10 + (line->value[index] - '0');
    }
    return length;
}

static int bad_arguments(PyObject *const *args, Py_ssize_t count)
{
    if (count == 3 && PyBytes_CheckExact(args[0]) && PyDict_CheckExact(args[1]))
        return 0;
    PyErr_SetString(PyExc_TypeError, "takes bytes, the dict of kinds, and classify");
    return 1;
}

PyDoc_STRVAR(request_doc,
"request(data, kinds, classify)\n--\n\n"
"(method, target, path, query, has_query, minor version, headers, host, marks, length, consumed), or None.\n"
"The path is as in the target, which has none of the characters that need a second look; host is None where there\n"
"is no Host; length -1 where there is none, -2 for chunks.");

static PyObject *request(PyObject *module, PyObject *const *args, Py_ssize_t count)
{
    const char *data, *at, *end, *method_end, *target, *target_end, *mark = NULL;
    PyObject *kept, *host = NULL, *made;
    long marks = 0;
    long long length = NO_LENGTH;
    int minor, found, headers = 0;
    if (bad_arguments(args, count))
        return NULL;
    data = at = PyBytes_AS_STRING(args[0]);
    end = data + PyBytes_GET_SIZE(args[0]);
    while (at < end && classes[(unsigned char)*at] & METHOD)
        at++;
    method_end = at;
    if (at == data || end - at < 16 || *at != ' ')
        Py_RETURN_NONE;
    if (method_end - data == 7 && memcmp(data, "CONNECT", 7) == 0)
        Py_RETURN_NONE;
    target = ++at;
    if (*at != '/')
        Py_RETURN_NONE;
    while (at < end && classes[(unsigned char)*at] & ORDINARY) {
        if (*at == '/' && at + 1 < end && (at[1] == '/' || at[1] == '.'))
            Py_RETURN_NONE;
        if (*at == '?' && mark == NULL)
            mark = at;
        at++;
    }
    target_end = at;
    if (end - at < 11 || memcmp(at, " HTTP/1.", 8) != 0 || (at[8] != '0' && at[8] != '1') || at[9] != '\r' ||
        at[10] != '\n')
        Py_RETURN_NONE;
    minor = at[8] - '0';
    at += 11;
    kept = PyList_New(0);
    if (kept == NULL)
        return NULL;
    for (;;) {
        Line line;
        found = read_line(at, end, args[1], args[2], &line, &at);
        if (found == 0)
            break;
        if (found == -2)
            goto failed;
        if (found < 0)
            goto doubt;
        if (++headers > MOST_HEADERS) {
            Py_DECREF(line.name);
            goto doubt;
        }
        if (line.kind == 0) {
            if (keep_line(kept, &line) < 0)
                goto failed;
            continue;
        }
        if (line.kind == HOST) {
            Py_DECREF(line.name);
            if (host != NULL)
                goto doubt;
            host = PyBytes_FromStringAndSize(line.value, line.value_bytes);
            if (host == NULL)
                goto failed;
            continue;
        }
        if (line.kind == CONNECTION || line.kind == TRANSFER_ENCODING) {
            int plain = minor && says(&line, line.kind == CONNECTION ? "keep-alive" : "chunked");
            Py_DECREF(line.name);
            if (!plain)
                goto doubt;
            if (line.kind == TRANSFER_ENCODING) {
                if (length != NO_LENGTH)
                    goto doubt;
                length = CHUNKED;
                marks |= TRANSFER_ENCODING;
            }
            continue;
        }
        marks |= line.kind;
        if (line.kind == CONTENT_LENGTH && (length != NO_LENGTH || (length = length_of(&line)) < 0)) {
            Py_DECREF(line.name);
            goto doubt;
        }
        if (keep_line(kept, &line) < 0)
            goto failed;
    }
    if (length == CHUNKED && marks & ADMITTED)
        goto doubt;
    if (host == NULL)
        host = Py_NewRef(Py_None);
    if (mark == NULL)
        mark = target_end;
    made = Py_BuildValue("(y#y#y#y#iiNNlLn)", data, method_end - data, target, target_end - target, target,
                         mark - target, mark < target_end ? mark + 1 : mark,
                         mark < target_end ? target_end - mark - 1 : (Py_ssize_t)0, mark < target_end, minor, kept,
                         host, marks, length, at - data);
    return made;
doubt:
    Py_DECREF(kept);
    Py_XDECREF(host);
    Py_RETURN_NONE;
failed:
    Py_DECREF(kept);
    Py_XDECREF(host);
    return NULL;
}

PyDoc_STRVAR(response_doc,
"response(data, kinds, classify)\n--\n\n"
"(status, minor version, headers, length, has a Date, consumed), or None. Length is -1 where there is none, -2 for\n"
"chunks.");

static PyObject *response(PyObject *module, PyObject *const *args, Py_ssize_t count)
{
    const char *data, *at, *end;
    PyObject *kept;
    long long length = NO_LENGTH;
    int minor, status, found, headers = 0, has_date = 0;
    if (bad_arguments(args, count))
        return NULL;
    data = at = PyBytes_AS_STRING(args[0]);
    end = data + PyBytes_GET_SIZE(args[0]);
    if (end - at < 17 || memcmp(at, "HTTP/1.", 7) != 0 || (at[7] != '0' && at[7] != '1') || at[8] != ' ' ||
        at[9] < '1' || at[9] > '9' || at[10] < '0' || at[10] > '9' || at[11] < '0' || at[11] > '9')
        Py_RETURN_NONE;
    minor = at[7] - '0';
    status = (at[9] - '0') * 100 + (at[10] - '0') * 10 + (at[11] - '0');
    at += 12;
    if (*at == ' ')
        while (at < end && classes[(unsigned char)*at] & VALUE)
            at++;
    if (end - at < 2 || at[0] != '\r' || at[1] != '\n')
        Py_RETURN_NONE;
    at += 2;
    kept = PyList_New(0);
    if (kept == NULL)
        return NULL;
    for (;;) {
        Line line;
        found = read_line(at, end, args[1], args[2], &line, &at);
        if (found == 0)
            break;
        if (found == -2)
            goto failed;
        if (found < 0)
            goto doubt;
        if (++headers > MOST_HEADERS) {
            Py_DECREF(line.name);
            goto doubt;
        }
        if (line.kind == CONTENT_LENGTH) {
            Py_DECREF(line.name);
            if (length != NO_LENGTH || (length = length_of(&line)) < 0)
                goto doubt;
            continue;
        }
        if (line.kind == CONNECTION || line.kind == TRANSFER_ENCODING) {
            int plain = minor && says(&line, line.kind == CONNECTION ? "keep-alive" : "chunked");
            Py_DECREF(line.name);
            if (!plain)
                goto doubt;
            if (line.kind == TRANSFER_ENCODING) {
                if (length != NO_LENGTH)
                    goto doubt;
                length = CHUNKED;
            }
            continue;
        }
        if (line.kind & SPECIAL) {
            Py_DECREF(line.name);
            goto doubt;
        }
        if (line.kind == DATE)
            has_date = 1;
        if (line.kind & (HOP | TE))
            Py_DECREF(line.name);
        else if (keep_line(kept, &line) < 0)
            goto failed;
    }
    return Py_BuildValue("(iiNLNn)", status, minor, kept, length, PyBool_FromLong(has_date), at - data);
doubt:
    Py_DECREF(kept);
    Py_RETURN_NONE;
failed:
    Py_DECREF(kept);
    return NULL;
}

PyDoc_STRVAR(message_doc,
"message(first, headers, *rest)\n--\n\n"
"The first line, the header lines, each with its line end, and what follows: pieces of bytes, as they are.");

static PyObject *message(PyObject *module, PyObject *const *args, Py_ssize_t count)
{
    Py_ssize_t size = 2, index, lines;
    PyObject *made;
    char *at;
    if (count < 2 || !PyBytes_CheckExact(args[0]) || !PyList_CheckExact(args[1]))
        goto wrong;
    lines = PyList_GET_SIZE(args[1]);
    size += PyBytes_GET_SIZE(args[0]);
    for (index = 0; index < lines; index++) {
        PyObject *pair = PyList_GET_ITEM(args[1], index);
        if (!PyTuple_CheckExact(pair) || PyTuple_GET_SIZE(pair) != 2 ||
            !PyBytes_CheckExact(PyTuple_GET_ITEM(pair, 0)) || !PyBytes_CheckExact(PyTuple_GET_ITEM(pair, 1)))
            goto wrong;
        size += PyBytes_GET_SIZE(PyTuple_GET_ITEM(pair, 0)) + PyBytes_GET_SIZE(PyTuple_GET_ITEM(pair, 1)) + 4;
    }
    for (index = 2; index < count; index++) {
        if (!PyBytes_CheckExact(args[index]))
            goto wrong;
        size += PyBytes_GET_SIZE(args[index]);
    }
    made = PyBytes_FromStringAndSize(NULL, size);
    if (made == NULL)
        return NULL;
    at = PyBytes_AS_STRING(made);
#define PUT(object) \
    do { \
        memcpy(at, PyBytes_AS_STRING(object), PyBytes_GET_SIZE(object)); \
        at += PyBytes_GET_SIZE(object); \
    } while (0)
    PUT(args[0]);
    *at++ = '\r';
    *at++ = '\n';
    for (index = 0; index < lines; index++) {
        PyObject *pair = PyList_GET_ITEM(args[1], index);
        PUT(PyTuple_GET_ITEM(pair, 0));
        *at++ = ':';
        *at++ = ' ';
        PUT(PyTuple_GET_ITEM(pair, 1));
        *at++ = '\r';
        *at++ = '\n';
    }
    for (index = 2; index < count; index++)
        PUT(args[index]);
#undef PUT
    return made;
wrong:
    PyErr_SetString(PyExc_TypeError, "takes bytes, a list of pairs of bytes, and more bytes");
    return NULL;
}

static PyMethodDef methods[] = {
    {"request", (PyCFunction)(void (*)(void))request, METH_FASTCALL, request_doc},
    {"response", (PyCFunction)(void (*)(void))response, METH_FASTCALL, response_doc},
    {"message", (PyCFunction)(void (*)(void))message, METH_FASTCALL, message_doc},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "_heads", "HTTP/1 heads in C; see codec.py.", -1, methods, NULL, NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit__heads(void)
{
    PyObject *module;
    fill_classes();
    module = PyModule_Create(&definition);
    if (module == NULL)
        return NULL;
    if (PyModule_AddObject(module, "KINDS",
                           Py_BuildValue("(iiiiiiiiiiiiii)", HOST, CONTENT_LENGTH, TRANSFER_ENCODING, CONNECTION,
                                         EXPECT, UPGRADE, HOP, MANAGED, UNDERSCORE, PRAGMA, DATE, TRAILER, TE,
                                         CHALLENGE)) < 0) {
        Py_DECREF(module);
        return NULL;
    }
    return module;
}
