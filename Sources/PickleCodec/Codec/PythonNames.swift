/// The names that Python 2 and Python 3 have for the same modules, classes and functions (CPython's `_compat_pickle`).
///
/// Python 3 applies it to pickles of protocols 0 to 2, in both directions (`fix_imports`).
enum PythonNames {
    /// The name by which Python 3 finds what Python 2 wrote; nil for the same.
    static func python3(_ name: PickleName) -> PickleName? { toPython3.mapped(name) }

    /// The name by which Python 2 finds what Python 3 writes; nil for the same.
    static func python2(_ name: PickleName) -> PickleName? { toPython2.mapped(name) }

    private struct Table {
        var modules: [String: String] = [:]
        var names: [String: String] = [:]

        func mapped(_ name: PickleName) -> PickleName? {
            if let pair = names[name.module + ":" + name.name] {
                let parts = pair.split(separator: ":")
                return PickleName(module: String(parts[0]), name: String(parts[1]))
            }
            return modules[name.module].map { PickleName(module: $0, name: name.name) }
        }
    }

    private static let toPython3 = Table(
        modules: table(modules, modulesToPython3), names: table(names, namesToPython3).merging(exceptions) { $1 })
    private static let toPython2 = Table(
        modules: reversed(table(modules)).merging(table(modulesToPython2)) { $1 },
        names: reversed(table(names).merging(exceptions) { $1 })
            .merging(table(namesToPython2)) { $1 }.merging(newErrors) { $1 })

    /// `a=b` in a row.
    private static func table(_ texts: String...) -> [String: String] {
        var table: [String: String] = [:]
        for entry in texts.flatMap(words) {
            let parts = entry.split(separator: "=")
            table[String(parts[0])] = String(parts[1])
        }
        return table
    }

    private static func words(_ text: String) -> [Substring] { text.split(whereSeparator: \.isWhitespace) }

    private static func reversed(_ table: [String: String]) -> [String: String] {
        Dictionary(table.map { ($1, $0) }) { $1 }
    }

    private static var exceptions: [String: String] {
        Dictionary(words(exceptionNames).map { ("exceptions:" + $0, "builtins:" + $0) }) { $1 }
    }

    /// Subclasses of OSError that Python 2 doesn't have.
    private static var newErrors: [String: String] {
        Dictionary(words(newErrorNames).map { ("builtins:" + $0, "exceptions:OSError") }) { $1 }
    }

    // Python 2 = Python 3, in both directions.
    private static let modules = """
        __builtin__=builtins copy_reg=copyreg Queue=queue SocketServer=socketserver ConfigParser=configparser
        repr=reprlib tkFileDialog=tkinter.filedialog tkSimpleDialog=tkinter.simpledialog
        tkColorChooser=tkinter.colorchooser tkCommonDialog=tkinter.commondialog Dialog=tkinter.dialog
        Tkdnd=tkinter.dnd tkFont=tkinter.font tkMessageBox=tkinter.messagebox ScrolledText=tkinter.scrolledtext
        Tkconstants=tkinter.constants Tix=tkinter.tix ttk=tkinter.ttk Tkinter=tkinter markupbase=_markupbase
        _winreg=winreg thread=_thread dummy_thread=_dummy_thread dbhash=dbm.bsd dumbdbm=dbm.dumb dbm=dbm.ndbm
        gdbm=dbm.gnu xmlrpclib=xmlrpc.client SimpleXMLRPCServer=xmlrpc.server httplib=http.client
        htmlentitydefs=html.entities HTMLParser=html.parser Cookie=http.cookies cookielib=http.cookiejar
        BaseHTTPServer=http.server test.test_support=test.support commands=subprocess urlparse=urllib.parse
        robotparser=urllib.robotparser urllib2=urllib.request anydbm=dbm _abcoll=collections.abc
        """
    private static let names = """
        __builtin__:xrange=builtins:range __builtin__:reduce=functools:reduce __builtin__:intern=sys:intern
        __builtin__:unichr=builtins:chr __builtin__:unicode=builtins:str __builtin__:long=builtins:int
        itertools:izip=builtins:zip itertools:imap=builtins:map itertools:ifilter=builtins:filter
        itertools:ifilterfalse=itertools:filterfalse itertools:izip_longest=itertools:zip_longest
        UserDict:IterableUserDict=collections:UserDict UserList:UserList=collections:UserList
        UserString:UserString=collections:UserString whichdb:whichdb=dbm:whichdb _socket:fromfd=socket:fromfd
        _multiprocessing:Connection=multiprocessing.connection:Connection
        multiprocessing.process:Process=multiprocessing.context:Process
        multiprocessing.forking:Popen=multiprocessing.popen_fork:Popen
        urllib:ContentTooShortError=urllib.error:ContentTooShortError
        urllib:getproxies=urllib.request:getproxies urllib:pathname2url=urllib.request:pathname2url
        urllib:quote_plus=urllib.parse:quote_plus urllib:quote=urllib.parse:quote
        urllib:unquote_plus=urllib.parse:unquote_plus urllib:unquote=urllib.parse:unquote
        urllib:url2pathname=urllib.request:url2pathname urllib:urlcleanup=urllib.request:urlcleanup
        urllib:urlencode=urllib.parse:urlencode urllib:urlopen=urllib.request:urlopen
        urllib:urlretrieve=urllib.request:urlretrieve urllib2:HTTPError=urllib.error:HTTPError
        urllib2:URLError=urllib.error:URLError
        multiprocessing:AuthenticationError=multiprocessing.context:AuthenticationError
        multiprocessing:BufferTooShort=multiprocessing.context:BufferTooShort
        multiprocessing:ProcessError=multiprocessing.context:ProcessError
        multiprocessing:TimeoutError=multiprocessing.context:TimeoutError
        """
    private static let exceptionNames = """
        ArithmeticError AssertionError AttributeError BaseException BufferError BytesWarning DeprecationWarning
        EOFError EnvironmentError Exception FloatingPointError FutureWarning GeneratorExit IOError ImportError
        ImportWarning IndentationError IndexError KeyError KeyboardInterrupt LookupError MemoryError NameError
        NotImplementedError OSError OverflowError PendingDeprecationWarning ReferenceError RuntimeError
        RuntimeWarning StopIteration SyntaxError SyntaxWarning SystemError SystemExit TabError TypeError
        UnboundLocalError UnicodeDecodeError UnicodeEncodeError UnicodeError UnicodeTranslateError
        UnicodeWarning UserWarning ValueError Warning ZeroDivisionError
        """

    // One direction: several modules of one have become one of the other.
    private static let modulesToPython3 = """
        cPickle=pickle _elementtree=xml.etree.ElementTree FileDialog=tkinter.filedialog
        SimpleDialog=tkinter.simpledialog DocXMLRPCServer=xmlrpc.server SimpleHTTPServer=http.server
        CGIHTTPServer=http.server UserDict=collections UserList=collections UserString=collections whichdb=dbm
        StringIO=io cStringIO=io
        """
    private static let namesToPython3 = """
        __builtin__:basestring=builtins:str exceptions:StandardError=builtins:Exception
        UserDict:UserDict=collections:UserDict socket:_socketobject=socket:SocketType
        """
    // Python 3 = Python 2.
    private static let modulesToPython2 = """
        _bz2=bz2 _dbm=dbm _functools=functools _gdbm=gdbm _pickle=pickle
        """
    private static let namesToPython2 = """
        _functools:reduce=__builtin__:reduce tkinter.filedialog:FileDialog=FileDialog:FileDialog
        tkinter.filedialog:LoadFileDialog=FileDialog:LoadFileDialog
        tkinter.filedialog:SaveFileDialog=FileDialog:SaveFileDialog
        tkinter.simpledialog:SimpleDialog=SimpleDialog:SimpleDialog
        xmlrpc.server:ServerHTMLDoc=DocXMLRPCServer:ServerHTMLDoc
        xmlrpc.server:XMLRPCDocGenerator=DocXMLRPCServer:XMLRPCDocGenerator
        xmlrpc.server:DocXMLRPCRequestHandler=DocXMLRPCServer:DocXMLRPCRequestHandler
        xmlrpc.server:DocXMLRPCServer=DocXMLRPCServer:DocXMLRPCServer
        xmlrpc.server:DocCGIXMLRPCRequestHandler=DocXMLRPCServer:DocCGIXMLRPCRequestHandler
        http.server:SimpleHTTPRequestHandler=SimpleHTTPServer:SimpleHTTPRequestHandler
        http.server:CGIHTTPRequestHandler=CGIHTTPServer:CGIHTTPRequestHandler
        _socket:socket=socket:_socketobject builtins:ModuleNotFoundError=exceptions:ImportError
        """
    private static let newErrorNames = """
        BrokenPipeError ChildProcessError ConnectionAbortedError ConnectionError ConnectionRefusedError
        ConnectionResetError FileExistsError FileNotFoundError InterruptedError IsADirectoryError
        NotADirectoryError PermissionError ProcessLookupError TimeoutError
        """
}
