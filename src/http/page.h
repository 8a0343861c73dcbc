/* page.h - the page at /: the server's state, workflows and runs, live. It asks for nothing from elsewhere. */
#ifndef FLOW_HTTP_PAGE_H
#define FLOW_HTTP_PAGE_H

extern const char flow_http_page[];

#endif
